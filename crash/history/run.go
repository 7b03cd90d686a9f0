package history

// Files of a run directory. Paths are relative to it, so that it can be moved.
const (
	FileRun     = "run.json"
	FileOps     = "history.bin"
	FileWatches = "watch.bin"
	FileEvents  = "events.jsonl"
	FileFinal   = "final.json"
	FileVerdict = "verdict.json"
	FileReport  = "report.html"
	FileJUnit   = "junit.xml"
	FileSpec    = "lab.yaml"
	DirMembers  = "members" // members/NAME/etcd.log, members/NAME/data
	DirDisks    = "disks"   // disks/NAME/round-N.log, a write log's tail
)

// Run is run.json: what was run, from what, with what.
type Run struct {
	ID       string   `json:"id"` // 16 hex digits, part of every key and value the run writes
	Scenario string   `json:"scenario"`
	Lab      string   `json:"lab"`
	Provider string   `json:"provider"`
	Etcd     string   `json:"etcd"`              // version
	Binary   string   `json:"binary"`            // the image's cache key
	Members  []Member `json:"members"`           // in order of name
	FS       string   `json:"fs,omitempty"`      // ext4, xfs, btrfs; "" without a fault disk
	Profile  string   `json:"profile,omitempty"` // the disk profile during the run
	Seed     uint64   `json:"seed"`
	Rounds   int      `json:"rounds"` // 0 is as many as fit the duration
	Fault    string   `json:"fault"`  // of several, all names
	Target   string   `json:"target"`
	// Checks are those that must come to a verdict; none is all.
	Checks  []string `json:"checks,omitempty"`
	Policy  string   `json:"policy,omitempty"`
	Clients int      `json:"clients"`
	Rate    float64  `json:"rate,omitempty"` // operations a second; 0 is saturated
	Traffic string   `json:"traffic,omitempty"`
	// ClockUncertainty is how far the clocks that stamped the evidence may have
	// been apart, in nanoseconds; 0 on one machine, which has one clock.
	ClockUncertainty int64  `json:"clockUncertainty,omitempty"`
	Prefix           string `json:"prefix"` // of every key the run writes
	Start            int64  `json:"start"`  // nanoseconds of CLOCK_MONOTONIC
	Wall             string `json:"wall"`   // the same instant, RFC 3339 UTC
	Base             Base   `json:"base"`
	Command          string `json:"command"` // reproduces the run
	Tool             string `json:"tool"`    // etcdlab's version
	Kernel           string `json:"kernel"`
}

// Member is one member of the run's lab.
type Member struct {
	Name      string   `json:"name"`
	ID        uint64   `json:"id,string"`
	ClientURL string   `json:"clientURL"`
	Args      []string `json:"args"` // etcd's command line
}

// Base is what the store held when the run began: a lab is not born empty for
// every run.
type Base struct {
	Revision        int64 `json:"revision"`
	CompactRevision int64 `json:"compactRevision"` // 0 when unknown or never compacted
}

// Final is final.json: what the live cluster answered after the last round,
// with the load stopped and, if it could be, every member at one revision.
type Final struct {
	Time    int64         `json:"t"`
	Members []FinalMember `json:"members"`
}

// DataUnmountable says that the member's file system did not survive a cut:
// everything on it is lost.
const DataUnmountable = "unmountable"

// FinalMember is one member's end state. Error says why figures are missing.
type FinalMember struct {
	Name            string   `json:"name"`
	Serving         bool     `json:"serving"`
	Error           string   `json:"error,omitempty"`
	Revision        int64    `json:"revision"` // the member's own newest revision
	RaftTerm        uint64   `json:"raftTerm"`
	RaftIndex       uint64   `json:"raftIndex"`
	AppliedIndex    uint64   `json:"appliedIndex"`
	Leader          uint64   `json:"leader,string"`
	HashRevision    int64    `json:"hashRevision"` // the revision Hash was asked at
	CompactRevision int64    `json:"compactRevision"`
	Hash            uint32   `json:"hash"`
	Alarms          []string `json:"alarms,omitempty"`
	ID              uint64   `json:"id,omitempty,string"` // etcd's member ID, which is another after the member was replaced
	Version         string   `json:"version,omitempty"`   // v3.7.3
	// Data says how members/NAME/data was taken: "frozen" (copied while etcd
	// was frozen: what a SIGKILL would leave), "stopped", DataUnmountable, or
	// "" when there is none, with DataError saying why.
	Data      string `json:"data"`
	DataError string `json:"dataError,omitempty"`
	// Files are those of members/NAME as they were collected.
	Files []FileSize `json:"files,omitempty"`
}
