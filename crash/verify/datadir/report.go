// Package datadir owns the reading of an etcd data directory that may be
// corrupt: bbolt pages, the key bucket, WAL segments and snapshot files. The
// reading runs in a child process, because a fault in a mapped file kills the
// process that touches it; the child streams what it found to its parent.
package datadir

// Report is what one data directory says of itself. Revisions are the key
// bucket's, indexes are raft's.
type Report struct {
	Problems []Problem `json:"problems,omitempty"` // corruption, each a sentence
	DB       DB        `json:"db"`
	Shared   Shared    `json:"shared"`
	WAL      WAL       `json:"wal"`
	Snaps    []Snap    `json:"snaps,omitempty"` // *.snap and *.snap.broken, in order of name
	SnapDBs  []uint64  `json:"snapDBs,omitempty"`
}

// Kinds of problems that a reader tells apart.
const (
	KindTerm = "term" // a hard state of an older term than the one before it
	KindVote = "vote" // a second vote in one term

	KindSnapshot = "snapshot" // a snapshot file, or that there is none
	KindRecord   = "wal"      // a damaged record of the log
)

// Problem is one finding and where it is.
type Problem struct {
	File    string  `json:"file"`             // relative to the data directory
	Kind    string  `json:"kind,omitempty"`   // one word; "" where nobody needs to tell it apart
	Page    *uint64 `json:"page,omitempty"`   // number, of the db
	Offset  *int64  `json:"offset,omitempty"` // in bytes, from the file's begin
	Message string  `json:"message"`
}

// DB is member/snap/db.
type DB struct {
	Size            int64  `json:"size"` // bytes
	Pages           uint64 `json:"pages"`
	ConsistentIndex uint64 `json:"consistentIndex"`
	Term            uint64 `json:"term"`
	Scheduled       int64  `json:"scheduledCompact"` // 0: never compacted
	Finished        int64  `json:"finishedCompact"`
	Revision        int64  `json:"revision"`        // what the store would restore as its current one
	Keys            int    `json:"keys"`            // records of the key bucket
	Error           string `json:"error,omitempty"` // why not all of it could be read
	HashRevision    int64  `json:"hashRevision"`    // 0: Hash is not set
	Hash            uint32 `json:"hash"`            // HashKV at HashRevision, if never compacted
}

// Compacted is the revision at and below which superseded records are gone or
// may be going; 0 when there was no compaction.
func (d *DB) Compacted() int64 { return max(d.Scheduled, d.Finished, 0) }

// WAL is member/wal.
type WAL struct {
	Member    uint64    `json:"member"`  // ID; 0: unknown
	Cluster   uint64    `json:"cluster"` // ID; 0: unknown
	Segments  int       `json:"segments"`
	FirstSeq  uint64    `json:"firstSeq"`
	Records   int       `json:"records"`
	First     uint64    `json:"first"` // index of the first entry still there; 0: none
	Last      uint64    `json:"last"`  // index of the last entry or snapshot
	LastTerm  uint64    `json:"lastTerm"`
	Commit    uint64    `json:"commit"` // of the last hard state written, which may lag
	Term      uint64    `json:"term"`
	Vote      uint64    `json:"vote"` // member ID; 0: none in that term
	Snapshots []WALSnap `json:"snapshots,omitempty"`
	Torn      bool      `json:"torn"` // the last record is cut off
	TornFile  string    `json:"tornFile,omitempty"`
	TornAt    int64     `json:"tornAt,omitempty"`
	// Beyond is set when whole records, or bytes that cannot be the rest of
	// the cut record, follow the end: not what a torn last write looks like in
	// a file that is only appended to.
	Beyond   bool  `json:"beyond,omitempty"`
	BeyondAt int64 `json:"beyondAt,omitempty"`
}

// WALSnap is a snapshot record of the WAL.
type WALSnap struct {
	Term  uint64 `json:"term"`
	Index uint64 `json:"index"`
}

// Snap is a snapshot file.
type Snap struct {
	Name  string `json:"name"`
	Term  uint64 `json:"term"` // of the name
	Index uint64 `json:"index"`
	Error string `json:"error,omitempty"` // why it cannot be read
}

// Flags of a Revision.
const (
	Tombstone uint8 = 1 << iota
	Foreign         // the key is outside the run's prefix; only Digest and Key are set
	Named           // the value has a name of this run: Op, Client and N are set
	BadMod          // the record's own mod revision is not the bucket key's
)

// Revision is one record of the key bucket.
type Revision struct {
	Main    int64
	Digest  uint64 // of the bucket key and the record, byte for byte
	Value   uint64 // Hash of the value
	Create  int64
	Version int64
	Lease   int64 // ID; 0: none
	Op      uint64
	Key     uint32 // index into Store.Keys
	Sub     uint32
	Client  int32
	Size    uint32 // of the value
	N       uint16
	Flags   uint8
}

// Is says whether all the flags are set.
func (r *Revision) Is(flags uint8) bool { return r.Flags&flags == flags }

// Write is a request in a WAL entry. Pending ones are beyond the db's
// consistent index: the db does not show whether they took effect.
type Write struct {
	Index   uint64
	Term    uint64
	Delete  bool
	Pending bool
	Key     string
	End     string // of a delete
	Value   uint64 // Hash of a put's value
	Op      uint64 // of a put's value, if Named
	Named   bool
}

// Store is everything the child found.
type Store struct {
	Report    Report
	Keys      []string
	Revisions []Revision     // in order of Main, Sub
	Excerpts  map[int]string // by index of a Revision: the value's begin, where it is not named
	Writes    []Write        // deletes of the whole WAL, and pending puts
}
