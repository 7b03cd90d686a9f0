package verify

import (
	"github.com/etcdlab/etcdlab/crash/history"
)

// Flags of an op.
const (
	isTxn uint16 = 1 << iota
	isOK
	isFailed
	succeeded
	owns         // acknowledged, and took a revision of its own
	serializable // reads that a member may answer from what it has
	denied       // refused for want of a permission
	saidCompacted
	saidFuture
	saidNoLease
	misanswered // the replay found an answer to be wrong at its revision
)

// op is a history.Op of the KV service without its strings: a million of them
// must fit into memory beside the members' stores. Slices are offsets into ops'
// arenas.
//
// Of an acknowledged transaction the requests are those that ran, in order, the
// nested ones' among them, each with its answer, and the conditions say which
// compares held; of any other both branches are kept, as trees.
type op struct {
	id, invoke, ret    int64
	rev                int64 // acknowledged; 0 otherwise
	at                 int64 // where the replay found its write; 0: nowhere
	found              int64 // the first revision in the store that holds a value of it
	cmps, reqs, ress   uint32
	conds              uint32
	client             int32
	nCmp, nThen, nElse uint16
	nRes, nCond, flags uint16
	member, user       uint8 // indexes into ops.members (of the one that answered or was asked) and ops.users
}

func (o *op) is(f uint16) bool { return o.flags&f == f }

// known is the revision the op is known to have run at; 0 for none.
func (o *op) known() int64 {
	if o.rev > 0 {
		return o.rev
	}
	return o.at
}

// Flags of a request.
const (
	wantsPrev uint8 = 1 << iota
	keysOnly
	countOnly
	stale // serializable
)

type request struct {
	value      uint64 // hash, of a put
	rev, limit int64
	lease      int64
	key, end   uint32
	txn        uint32 // index into ops.nested, of a nested transaction
	n          uint16 // the number in its value's name, of a put
	verb       history.Verb
	flags      uint8
	order      history.Order
	sort       history.Target
}

type result struct {
	count, deleted int64
	kvs, n         uint32
	more           bool
}

type keyValue struct {
	value                uint64
	create, mod, version int64
	lease                int64
	key                  uint32
}

type compare struct {
	value    uint64
	number   int64
	key, end uint32
	text     uint32 // index into ops.texts, one more: of a value whose order is asked for
	target   history.CompareTarget
	result   history.CompareResult
}

// condition is what an acknowledged transaction said of some compares.
type condition struct {
	cmps uint32
	n    uint16
	held bool
}

// nested is a transaction in a transaction.
type nested struct {
	cmps, reqs         uint32
	nCmp, nThen, nElse uint16
}

// ops is the history, in the order of recording.
type ops struct {
	all       []op
	reqs      []request
	ress      []result
	kvs       []keyValue
	cmps      []compare
	conds     []condition
	nested    []nested
	texts     []string
	calls     []callOp
	terms     []termSeen
	members   []string
	users     []string
	eras      *eras
	termOf    []uint64 // the newest raft term that each member answered in
	keys      *keyTable
	byID      map[uint64]int32
	dense     []int32 // by id, one more than the index, while ids are dense
	truncated bool
	malformed string  // why the history contradicts its own format
	offsets   []int64 // of every block'th record in the file
	blocks    []int32 // how many of all came before it
	acked     int     // acknowledged writes
}

func (h *ops) then(o *op) []request { return h.reqs[o.reqs : o.reqs+uint32(o.nThen)] }
func (h *ops) els(o *op) []request {
	return h.reqs[o.reqs+uint32(o.nThen) : o.reqs+uint32(o.nThen)+uint32(o.nElse)]
}

// branch is what ran: a single request, or the side of a transaction. Of an
// acknowledged one only that is kept.
func (h *ops) branch(o *op, held bool) []request {
	if o.is(isTxn) && !o.is(isOK) && !held {
		return h.els(o)
	}
	return h.then(o)
}

func (h *ops) results(o *op) []result       { return h.ress[o.ress : o.ress+uint32(o.nRes)] }
func (h *ops) compares(o *op) []compare     { return h.cmps[o.cmps : o.cmps+uint32(o.nCmp)] }
func (h *ops) conditions(o *op) []condition { return h.conds[o.conds : o.conds+uint32(o.nCond)] }

// each calls f with every request that an operation may run, those of nested
// transactions among them.
func (h *ops) each(o *op, f func(*request)) {
	h.eachOf(h.reqs[o.reqs:o.reqs+uint32(o.nThen)+uint32(o.nElse)], f)
}

func (h *ops) eachOf(reqs []request, f func(*request)) {
	for i := range reqs {
		if reqs[i].verb == history.Txn {
			t := &h.nested[reqs[i].txn]
			h.eachOf(h.reqs[t.reqs:t.reqs+uint32(t.nThen)+uint32(t.nElse)], f)
			continue
		}
		f(&reqs[i])
	}
}

// find gives the index of an operation, or -1.
func (h *ops) find(id uint64) int {
	if h.dense != nil {
		if id < uint64(len(h.dense)) {
			return int(h.dense[id]) - 1
		}
		return -1
	}
	if i, ok := h.byID[id]; ok {
		return int(i)
	}
	return -1
}
