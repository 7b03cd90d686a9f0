// Package history owns the evidence of a run: the types of client operations,
// of what happened to members, of the run itself and of its end state, and the
// codec and directory layout they are stored in. It is a leaf: it imports
// nothing of ours but the clock's conventions, so that everything that makes
// or judges evidence can import it.
package history

// Outcome says what the client knows of an operation when it returned.
type Outcome uint8

const (
	// Unknown: a time-out or a broken connection; the operation may have been
	// applied, may be applied later, or may never be.
	Unknown Outcome = iota
	// OK: the server acknowledged the operation; Revision and Results hold.
	OK
	// Failed: the server refused before proposing; it was never applied.
	Failed
)

// Kind is what an operation asks of etcd.
type Kind uint8

const (
	// KindKV is a single put, range or delete: exactly one entry in Then.
	KindKV Kind = iota
	// KindTxn is a transaction: Compares, then Then or Else.
	KindTxn
)

// Verb is what one request inside an operation does.
type Verb uint8

const (
	Put Verb = iota
	Range
	Delete
)

// Request is one put, range or delete. End is "" for a single key, else the
// exclusive end of the interval as in etcd's API.
type Request struct {
	Verb         Verb
	Key          string
	End          string
	Value        string
	Revision     int64 // range: read at this revision; 0 is the newest
	Limit        int64
	Serializable bool // range: may be answered from the asked member's own state
}

// CompareTarget is what a Compare looks at.
type CompareTarget uint8

const (
	CompareValue CompareTarget = iota
	CompareVersion
	CompareCreate
	CompareMod
)

// CompareResult is the relation a Compare wants.
type CompareResult uint8

const (
	Equal CompareResult = iota
	Greater
	Less
	NotEqual
)

// Compare is one condition of a transaction.
type Compare struct {
	Key    string
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
	KVs     []KV  // range
	Count   int64 // range: matching keys without the limit
	More    bool  // range
	Deleted int64 // delete
}

// Op is one client operation. Times are nanoseconds of CLOCK_MONOTONIC.
type Op struct {
	ID        uint64 // unique in the run, in order of invocation per client
	Client    int32
	Member    string // the member asked; "" is any
	Kind      Kind
	Compares  []Compare
	Then      []Request
	Else      []Request
	Invoke    int64
	Return    int64 // when the client had the answer or gave up
	Outcome   Outcome
	Error     string // for Unknown and Failed
	Revision  int64  // the response header's revision, if OK
	RaftTerm  uint64
	MemberID  uint64 // the responder, if OK
	Succeeded bool   // txn: the compares held
	Results   []Result
}
