// Package history owns the evidence of a run: the types of client operations,
// of what watchers were told, of what happened to members, of the run itself
// and of its end state, and the codec and directory layout they are stored in.
// It is a leaf: it imports nothing of ours but the clock's conventions, so that
// everything that makes or judges evidence can import it.
package history

// Outcome says what the client knows of an operation when it returned.
type Outcome uint8

const (
	// Unknown: a time-out or a broken connection; the operation may have been
	// applied, may be applied later, or may never be.
	Unknown Outcome = iota
	// OK: the server acknowledged the operation; Revision and Results hold.
	OK
	// Failed: the server refused; it was never applied.
	Failed
)

// Kind is what an operation asks of etcd.
type Kind uint8

const (
	// KindKV is a single put, range or delete: exactly one entry in Then.
	KindKV Kind = iota
	// KindTxn is a transaction: Compares, then Then or Else.
	KindTxn
	// All others ask what Call says; Compares, Then, Else and Results are empty.
	KindCompact
	KindLeaseGrant
	KindLeaseKeepAlive
	KindLeaseRevoke
	KindLeaseTTL // time to live
	KindLeases
	KindLock // from the wish to holding it
	KindUnlock
	KindCampaign // from the wish to leading
	KindProclaim
	KindResign
	KindLeader // who leads an election
	KindDefrag
	KindSnapshot
	KindStatus
	KindHash // HashKV
	KindMembers
	KindAlarms
	KindAuth // Call.Method says which
	kinds
)

// Verb is what one request inside an operation does.
type Verb uint8

const (
	Put Verb = iota
	Range
	Delete
	Txn // nested: Request.Txn
	verbs
)

// Order of a range's answer.
type Order uint8

const (
	NoOrder Order = iota // by key, ascending
	Ascend
	Descend
	orders
)

// Target is what a range is sorted by.
type Target uint8

const (
	SortKey Target = iota
	SortVersion
	SortCreate
	SortMod
	SortValue
	targets
)

// Request is one put, range, delete or nested transaction. End is "" for a
// single key, else the exclusive end of the interval as in etcd's API.
type Request struct {
	Verb         Verb
	Key          string
	End          string
	Value        string
	Lease        int64 // put: the lease the key is attached to; 0 is none
	Prev         bool  // put, delete: answer with what was there before
	Revision     int64 // range: read at this revision; 0 is the newest
	Limit        int64
	Serializable bool // range: may be answered from the asked member's own state
	KeysOnly     bool
	CountOnly    bool
	Order        Order
	Sort         Target
	Txn          *Branches
}

// Branches are a nested transaction. etcd evaluates the compares of all nested
// transactions on the state before the outermost one.
type Branches struct {
	Compares []Compare
	Then     []Request
	Else     []Request
}

// CompareTarget is what a Compare looks at.
type CompareTarget uint8

const (
	CompareValue CompareTarget = iota
	CompareVersion
	CompareCreate
	CompareMod
	CompareLease
	compareTargets
)

// CompareResult is the relation a Compare wants.
type CompareResult uint8

const (
	Equal CompareResult = iota
	Greater
	Less
	NotEqual
	compareResults
)

// Compare is one condition of a transaction. With an End every key of the
// interval must meet it; an interval without keys is as a key that is not there.
type Compare struct {
	Key    string
	End    string
	Target CompareTarget
	Result CompareResult
	Value  string // for CompareValue
	Number int64  // for the other targets
}

// KV is a key as etcd answered it.
type KV struct {
	Key            string
	Value          string
	CreateRevision int64
	ModRevision    int64
	Version        int64
	Lease          int64
}

// Result is the answer to one Request.
type Result struct {
	KVs       []KV  // range; what was there before, of a put or delete with Prev
	Count     int64 // range: matching keys without the limit
	More      bool  // range
	Deleted   int64 // delete
	Succeeded bool  // nested transaction: its compares held
	Results   []Result
}

// Call is what an operation that is neither KindKV nor KindTxn asks and, if
// acknowledged, is answered. Fields that a kind does not name are zero.
type Call struct {
	// Lease is that of a lease operation (of a grant: the one asked for, 0 for
	// any, and then the one granted), and the session's of a lock or election.
	Lease int64
	// TTL in seconds: of a grant the one asked for, then the one granted; of a
	// keep-alive and a time-to-live what is left, 0 or less: no such lease.
	TTL     int64
	Granted int64 // time-to-live: the TTL granted, seconds
	// Revision: up to which a compaction goes, at which a hash is asked; of a
	// lock or campaign the create revision of Key, its fencing token.
	Revision        int64
	CompactRevision int64 // hash: the member's
	Hash            uint32
	Physical        bool   // compaction: answered once the records are gone
	Name            string // the prefix of a lock or election; an auth operation's user
	Key             string // that holds a lock or election; the begin of a permission's interval
	End             string // of a permission's interval
	Value           string // of a campaign, a proclamation, a leader's
	Method          string // of auth: the RPC's name in etcd's API, such as RoleGrantPermission
	Role            string
	Permission      string   // READ, WRITE or READWRITE
	Size            int64    // snapshot: bytes; status: of the db
	Leader          uint64   // status
	Index           uint64   // status: raft's applied index
	List            []string // members, alarms, keys of a lease, leases in hex: sorted
}

// Op is one client operation. Times are nanoseconds of CLOCK_MONOTONIC.
type Op struct {
	ID        uint64 // unique in the run, in order of invocation per client
	Client    int32
	Member    string // the member asked; "" is any
	User      string // who asks; "" without auth
	Kind      Kind
	Compares  []Compare
	Then      []Request
	Else      []Request
	Call      *Call
	Invoke    int64
	Return    int64 // when the client had the answer or gave up
	Outcome   Outcome
	Denied    bool   // Failed for want of a permission
	Error     string // for Unknown and Failed
	Revision  int64  // the response header's revision, if OK
	RaftTerm  uint64
	MemberID  uint64 // the responder, if OK
	Succeeded bool   // txn: the compares held
	Results   []Result
}

// Locks and elections keep their keys below these, within the run's prefix:
// their values are not unique, and their writers are told by the keys' leases.
const (
	LockPrefix     = "lock/"
	ElectionPrefix = "election/"
)
