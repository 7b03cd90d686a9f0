package history

// EventKind names something that happened to a member or to the run.
type EventKind string

const (
	EventRunStart   EventKind = "run-start"
	EventRunEnd     EventKind = "run-end"
	EventRoundStart EventKind = "round-start"
	EventRoundEnd   EventKind = "round-end" // Round is set, with figures
	EventFault      EventKind = "fault"     // a fault was applied; Message says which
	EventHealed     EventKind = "healed"
	// EventDamaged: a disk did not do what it acknowledged, or a file was changed
	// behind etcd's back; Damage is set. EventRepaired: the member has from now on
	// nothing of it any more.
	EventDamaged    EventKind = "damaged"
	EventRepaired   EventKind = "repaired"
	EventHeld       EventKind = "held"   // the disk began to hold flushes back
	EventFrozen     EventKind = "frozen" // etcd was seen frozen (or Message says why not)
	EventLinkDown   EventKind = "link-down"
	EventLinkUp     EventKind = "link-up"
	EventCut        EventKind = "cut"    // Cut is set
	EventKilled     EventKind = "killed" // etcd was reaped
	EventExited     EventKind = "exited" // etcd ended by itself (a panic, a fatal error)
	EventRestored   EventKind = "restored"
	EventMounted    EventKind = "mounted"
	EventStarted    EventKind = "started" // the etcd process was started
	EventServing    EventKind = "serving" // the member answered a linearizable read
	EventNotServing EventKind = "not-serving"
	EventConfigured EventKind = "configured" // what etcd is started with next changed; Message says how
	EventWiped      EventKind = "wiped"      // the data directory was emptied
	EventJoined     EventKind = "joined"     // the member was added to the cluster anew, as ID, without data
	EventRebuilt    EventKind = "rebuilt"    // its data were made anew from a snapshot at Revision, of a new cluster
)

// Event is one line of events.jsonl.
type Event struct {
	Time     int64     `json:"t"` // nanoseconds of CLOCK_MONOTONIC
	Kind     EventKind `json:"kind"`
	Round    int       `json:"round,omitempty"` // 1-based; 0 is outside of any round
	Member   string    `json:"member,omitempty"`
	Message  string    `json:"message,omitempty"`
	Duration int64     `json:"ns,omitempty"` // how long the step took
	Cut      *Cut      `json:"cut,omitempty"`
	Damage   *Damage   `json:"damage,omitempty"`
	Figures  *Figures  `json:"figures,omitempty"`
	ID       uint64    `json:"id,omitempty"`       // etcd's member ID
	Revision int64     `json:"revision,omitempty"` // of the store
}

// Cut is what a power loss did to one disk.
type Cut struct {
	Policy    string `json:"policy"`
	Seed      uint64 `json:"seed"`
	Profile   string `json:"profile"`
	Position  uint64 `json:"position"`  // entries in the write log before the cut
	Flushes   uint64 `json:"flushes"`   // flushes completed since the last cut
	Writes    uint64 `json:"writes"`    // writes since the last cut
	Held      int    `json:"held"`      // flushes in flight at the cut, never completed
	Uncovered int    `json:"uncovered"` // writes not covered by a flush
	Dropped   int    `json:"dropped"`   // of those, lost whole
	Torn      int    `json:"torn"`      // of those, partly kept
	Kept      int    `json:"kept"`
	Lied      uint64 `json:"lied,omitempty"` // operations since power-on that the disk did not do as it acknowledged them
}

// Damage is how a member's disk was dishonest.
type Damage struct {
	// Kind is an action of a disk fault that lies (disk.Actions), or what was done
	// to a file at rest (lab.DamageFlip, lab.DamageTruncate).
	Kind   string `json:"kind"`
	AtRest bool   `json:"atRest,omitempty"`
	Count  uint64 `json:"count"`          // operations, or bits and ends of files
	What   string `json:"what,omitempty"` // the last one, in words
}

// Injection is one fault of a round: what was done to whom, and what came of it.
type Injection struct {
	Fault   string            `json:"fault"`
	With    map[string]string `json:"with,omitempty"` // its parameters, where not the defaults
	Targets []string          `json:"targets"`
	Skipped string            `json:"skipped,omitempty"` // why the lab cannot do it
	// Observed says that it was seen to take effect, Recovered that its targets
	// were seen to serve after it was healed.
	Observed   bool   `json:"observed"`
	Recovered  bool   `json:"recovered"`
	Message    string `json:"message,omitempty"`
	ApplyNS    int64  `json:"applyNs"`              // until its effect was seen
	LastedNS   int64  `json:"lastedNs,omitempty"`   // from then until it was healed
	RecoveryNS int64  `json:"recoveryNs,omitempty"` // from then until its targets served
}

// Figures are what one round measured.
type Figures struct {
	Fault   string   `json:"fault"` // of several, all names
	Targets []string `json:"targets"`
	// Faults are those of the round, one or more; evidence of earlier etcdlabs
	// has none.
	Faults     []Injection `json:"faults,omitempty"`
	Policy     string      `json:"policy,omitempty"`
	Clients    int         `json:"clients"`
	Operations int         `json:"operations"` // returned in the round
	Failed     int         `json:"failed"`     // of those, not acknowledged
	PerSecond  float64     `json:"perSecond"`  // acknowledged operations a second while all members were up
	RecoveryNS int64       `json:"recoveryNs"` // from the last restart to the cluster serving
	RoundNS    int64       `json:"roundNs"`
	Uncovered  int         `json:"uncovered"` // sums over the round's cuts
	Dropped    int         `json:"dropped"`
	Torn       int         `json:"torn"`
	Observed   bool        `json:"observed"` // all its faults were seen to take effect
	Message    string      `json:"message,omitempty"`
}

// Injections are the round's faults; of evidence that has none of them, the one
// that its figures tell of.
func (f *Figures) Injections() []Injection {
	if len(f.Faults) > 0 {
		return f.Faults
	}
	return []Injection{{Fault: f.Fault, Targets: f.Targets, Observed: f.Observed, Recovered: f.RecoveryNS > 0, Message: f.Message, RecoveryNS: f.RecoveryNS}}
}
