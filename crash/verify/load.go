package verify

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
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

// loadOps reads history.bin. A history that is damaged in the middle is an
// error; one that ends early is truncated.
func loadOps(path string, run *history.Run, keys *keyTable) (*ops, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := history.NewReader(f)
	if err != nil {
		return nil, err
	}
	h := &ops{keys: keys}
	names := memberNames(run)
	var in history.Op
	for n := 0; ; n++ {
		if n%block == 0 {
			h.offsets, h.blocks = append(h.offsets, r.Offset()), append(h.blocks, int32(len(h.all)))
		}
		if err := r.Next(&in); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		h.add(&in, names)
		if len(h.all) == sample {
			h.reserve(f, r.Offset())
		}
	}
	h.truncated = r.Truncated()
	h.index()
	return h, nil
}

// block is how many records are read again to have one of them.
const block = 512

// sample is how many operations tell how large the rest of a history will be.
const sample = 10_000

// reserve makes room for a whole file like its first bytes: growing arrays of
// hundreds of megabytes by doubling costs more than reading does.
func (h *ops) reserve(f *os.File, read int64) {
	info, err := f.Stat()
	if err != nil {
		return // it would only have been faster
	}
	more := func(n int) int {
		return int(float64(n) * (float64(info.Size())/float64(read) - 1) * 1.05)
	}
	if more(len(h.all)) < 0 {
		return
	}
	h.all = slices.Grow(h.all, more(len(h.all)))
	h.reqs = slices.Grow(h.reqs, more(len(h.reqs)))
	h.ress = slices.Grow(h.ress, more(len(h.ress)))
	h.kvs = slices.Grow(h.kvs, more(len(h.kvs)))
	h.cmps = slices.Grow(h.cmps, more(len(h.cmps)))
}

func memberNames(run *history.Run) map[uint64]string {
	names := make(map[uint64]string, len(run.Members))
	for _, m := range run.Members {
		names[m.ID] = m.Name
	}
	return names
}

func (h *ops) add(in *history.Op, names map[uint64]string) {
	if in.Kind > history.KindTxn {
		h.addCall(in, names)
		return
	}
	o := op{
		id: int64(in.ID), invoke: in.Invoke, ret: in.Return, client: in.Client,
		member: h.responder(in, names), user: index(&h.users, in.User),
	}
	if in.Kind == history.KindTxn {
		o.flags |= isTxn
	}
	if in.Succeeded {
		o.flags |= succeeded
	}
	if in.Outcome == history.OK {
		h.inTerm(o.member, in.RaftTerm)
		h.answered(&o, in)
		h.sawTerm(in)
	} else {
		o.cmps, o.nCmp = h.addCompares(in.Compares)
		o.reqs = h.addRequests(in.Then, in.Else)
		o.nThen, o.nElse = uint16(len(in.Then)), uint16(len(in.Else))
	}
	if in.Outcome == history.Failed {
		o.flags |= isFailed
		h.refused(&o, in)
	}
	h.all = append(h.all, o)
}

func (h *ops) refused(o *op, in *history.Op) {
	switch {
	case in.Denied:
		o.flags |= denied
	case strings.Contains(in.Error, "has been compacted"):
		o.flags |= saidCompacted
	case strings.Contains(in.Error, "is a future revision"):
		o.flags |= saidFuture
	case strings.Contains(in.Error, "lease not found"):
		o.flags |= saidNoLease
	}
}

// answered takes in an acknowledged operation: what ran, and its answers.
func (h *ops) answered(o *op, in *history.Op) {
	o.cmps, o.conds, o.reqs, o.ress = uint32(len(h.cmps)), uint32(len(h.conds)), uint32(len(h.reqs)), uint32(len(h.ress))
	o.flags |= isOK
	o.rev = in.Revision
	b := &history.Branches{Compares: in.Compares, Then: in.Then, Else: in.Else}
	ok := h.checkAnswer(in) && h.ran(in, b, in.Kind == history.KindKV || in.Succeeded, in.Results)
	o.nCmp, o.nCond = uint16(len(in.Compares)), uint16(len(h.conds)-int(o.conds))
	o.nThen, o.nRes = uint16(len(h.reqs)-int(o.reqs)), uint16(len(h.ress)-int(o.ress))
	if !ok {
		o.flags &^= isOK
		o.rev = 0
		return
	}
	serial := true // etcd's IsTxnSerializable: whichever side runs
	for _, side := range [2][]history.Request{in.Then, in.Else} {
		for i := range side {
			serial = serial && side[i].Verb == history.Range && side[i].Serializable
		}
	}
	for i, q := range h.then(o) {
		if q.verb == history.Put || q.verb == history.Delete && h.results(o)[i].deleted > 0 {
			o.flags |= owns
		}
	}
	if serial {
		o.flags |= serializable
	}
	if o.is(owns) {
		h.acked++
	}
}

// ran adds the side of a transaction that ran, with its answers, leaf by leaf.
func (h *ops) ran(in *history.Op, b *history.Branches, held bool, results []history.Result) bool {
	branch := b.Then
	if !held {
		branch = b.Else
	}
	if len(results) != len(branch) {
		h.broken(in, "has %d answers to %d requests", len(results), len(branch))
		return false
	}
	if in.Kind == history.KindTxn {
		at, n := h.addCompares(b.Compares)
		h.conds = append(h.conds, condition{at, n, held})
	}
	for i := range branch {
		if branch[i].Verb == history.Txn {
			if !h.ran(in, branch[i].Txn, results[i].Succeeded, results[i].Results) {
				return false
			}
			continue
		}
		h.reqs = append(h.reqs, h.request(&branch[i]))
		h.addResult(&results[i])
	}
	return true
}

func (h *ops) addCompares(cs []history.Compare) (at uint32, n uint16) {
	at = uint32(len(h.cmps))
	for i := range cs {
		c := &cs[i]
		x := compare{
			value: datadir.Hash(c.Value), number: c.Number, key: h.keys.id(c.Key), end: h.keys.id(c.End), target: c.Target, result: c.Result,
		}
		if c.Target == history.CompareValue && (c.Result == history.Less || c.Result == history.Greater) {
			h.texts = append(h.texts, strings.Clone(c.Value))
			x.text = uint32(len(h.texts))
		}
		h.cmps = append(h.cmps, x)
	}
	return at, uint16(len(cs))
}

// addRequests adds both branches of a transaction, one after the other; those
// of nested transactions follow.
func (h *ops) addRequests(then, els []history.Request) (at uint32) {
	at = uint32(len(h.reqs))
	for _, reqs := range [2][]history.Request{then, els} {
		for i := range reqs {
			h.reqs = append(h.reqs, h.request(&reqs[i]))
		}
	}
	n := at
	for _, reqs := range [2][]history.Request{then, els} {
		for i := range reqs {
			if b := reqs[i].Txn; reqs[i].Verb == history.Txn {
				t := nested{nThen: uint16(len(b.Then)), nElse: uint16(len(b.Else))}
				t.cmps, t.nCmp = h.addCompares(b.Compares)
				t.reqs = h.addRequests(b.Then, b.Else)
				h.reqs[n].txn = uint32(len(h.nested))
				h.nested = append(h.nested, t)
			}
			n++
		}
	}
	return at
}

func (h *ops) request(r *history.Request) request {
	q := request{
		rev: r.Revision, limit: r.Limit, lease: r.Lease, key: h.keys.id(r.Key), end: h.keys.id(r.End), verb: r.Verb,
		order: r.Order, sort: r.Sort,
	}
	if r.Verb == history.Put {
		q.value = datadir.Hash(r.Value)
		if name, ok := history.ParseValue(r.Value); ok {
			q.n = uint16(name.N)
		}
	}
	if r.Prev {
		q.flags |= wantsPrev
	}
	if r.KeysOnly {
		q.flags |= keysOnly
	}
	if r.CountOnly {
		q.flags |= countOnly
	}
	if r.Serializable {
		q.flags |= stale
	}
	return q
}

func (h *ops) addResult(r *history.Result) {
	h.ress = append(h.ress, result{count: r.Count, deleted: r.Deleted, more: r.More, kvs: uint32(len(h.kvs)), n: uint32(len(r.KVs))})
	for j := range r.KVs {
		kv := &r.KVs[j]
		h.kvs = append(h.kvs, keyValue{
			value: datadir.Hash(kv.Value), create: kv.CreateRevision, mod: kv.ModRevision, version: kv.Version,
			lease: kv.Lease, key: h.keys.id(kv.Key),
		})
	}
}

// checkAnswer sees to it that an acknowledgement can be judged at all.
func (h *ops) checkAnswer(in *history.Op) bool {
	switch {
	case in.Kind == history.KindKV && (len(in.Then) != 1 || len(in.Else) > 0 || len(in.Compares) > 0 || in.Then[0].Verb == history.Txn):
		h.broken(in, "is a single request and has %d", len(in.Then)+len(in.Else))
	case in.Revision <= 0:
		h.broken(in, "was acknowledged without a revision")
	case in.Return < in.Invoke:
		h.broken(in, "returned before it was invoked")
	default:
		return true
	}
	return false
}

func (h *ops) broken(in *history.Op, format string, args ...any) {
	if h.malformed == "" {
		h.malformed = fmt.Sprintf("operation %d of client %d ", in.ID, in.Client) + fmt.Sprintf(format, args...)
	}
}

// responder is the index of the member that answered, or was asked.
func (h *ops) responder(in *history.Op, names map[uint64]string) uint8 {
	if name := names[in.MemberID]; name != "" {
		return index(&h.members, name)
	}
	return index(&h.members, in.Member)
}

// index numbers the few names of a kind that a run has.
func index(list *[]string, name string) uint8 {
	i := slices.Index(*list, name)
	if i < 0 {
		i = len(*list)
		*list = append(*list, name)
	}
	return uint8(i)
}
