package verify

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// Flags of an op.
const (
	isTxn uint8 = 1 << iota
	isOK
	isFailed
	succeeded
	owns         // acknowledged, and took a revision of its own
	serializable // reads that a member may answer from what it has
)

// op is a history.Op without its strings: a million of them must fit into
// memory beside the members' stores. Slices are offsets into ops' arenas.
type op struct {
	id, invoke, ret    int64
	rev                int64 // acknowledged; 0 otherwise
	at                 int64 // where the replay found its write; 0: nowhere
	found              int64 // the first revision in the store that holds a value of it
	cmps, reqs, ress   uint32
	client             int32
	nCmp, nThen, nElse uint16
	nRes               uint16
	member             uint8 // index into ops.members, of the one that answered or was asked
	flags              uint8
}

func (o *op) is(f uint8) bool { return o.flags&f == f }

// known is the revision the op is known to have run at; 0 for none.
func (o *op) known() int64 {
	if o.rev > 0 {
		return o.rev
	}
	return o.at
}

type request struct {
	value      uint64 // hash, of a put
	rev, limit int64
	key, end   uint32
	verb       history.Verb
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
	value  uint64
	number int64
	key    uint32
	target history.CompareTarget
	result history.CompareResult
}

// ops is the history, in the order of recording.
type ops struct {
	all       []op
	reqs      []request
	ress      []result
	kvs       []keyValue
	cmps      []compare
	members   []string
	keys      *keyTable
	byID      map[uint64]int32
	dense     []int32 // by id, one more than the index, while ids are dense
	truncated bool
	malformed string // why the history contradicts its own format
	acked     int    // acknowledged writes
}

func (h *ops) then(o *op) []request { return h.reqs[o.reqs : o.reqs+uint32(o.nThen)] }
func (h *ops) els(o *op) []request {
	return h.reqs[o.reqs+uint32(o.nThen) : o.reqs+uint32(o.nThen)+uint32(o.nElse)]
}

// branch is what ran: a single request, or the side of a transaction.
func (h *ops) branch(o *op, held bool) []request {
	if o.is(isTxn) && !held {
		return h.els(o)
	}
	return h.then(o)
}

func (h *ops) results(o *op) []result   { return h.ress[o.ress : o.ress+uint32(o.nRes)] }
func (h *ops) compares(o *op) []compare { return h.cmps[o.cmps : o.cmps+uint32(o.nCmp)] }

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
	for {
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
	o := op{
		id: int64(in.ID), invoke: in.Invoke, ret: in.Return, client: in.Client,
		cmps: uint32(len(h.cmps)), reqs: uint32(len(h.reqs)), ress: uint32(len(h.ress)),
		nCmp: uint16(len(in.Compares)), nThen: uint16(len(in.Then)), nElse: uint16(len(in.Else)), nRes: uint16(len(in.Results)),
	}
	member := in.Member
	if name := names[in.MemberID]; name != "" {
		member = name
	}
	o.member = h.member(member)
	if in.Kind == history.KindTxn {
		o.flags |= isTxn
	}
	if in.Succeeded {
		o.flags |= succeeded
	}
	for i := range in.Compares {
		c := &in.Compares[i]
		h.cmps = append(h.cmps, compare{
			value: datadir.Hash(c.Value), number: c.Number, key: h.keys.id(c.Key), target: c.Target, result: c.Result,
		})
	}
	serial := true
	for _, reqs := range [2][]history.Request{in.Then, in.Else} {
		for i := range reqs {
			r := &reqs[i]
			q := request{rev: r.Revision, limit: r.Limit, key: h.keys.id(r.Key), end: h.keys.id(r.End), verb: r.Verb}
			if r.Verb == history.Put {
				q.value = datadir.Hash(r.Value)
			}
			serial = serial && r.Verb == history.Range && r.Serializable
			h.reqs = append(h.reqs, q)
		}
	}
	if serial {
		o.flags |= serializable
	}
	for i := range in.Results {
		r := &in.Results[i]
		h.ress = append(h.ress, result{count: r.Count, deleted: r.Deleted, more: r.More, kvs: uint32(len(h.kvs)), n: uint32(len(r.KVs))})
		for j := range r.KVs {
			kv := &r.KVs[j]
			h.kvs = append(h.kvs, keyValue{
				value: datadir.Hash(kv.Value), create: kv.CreateRevision, mod: kv.ModRevision, version: kv.Version,
				lease: kv.Lease, key: h.keys.id(kv.Key),
			})
		}
	}
	switch in.Outcome {
	case history.Failed:
		o.flags |= isFailed
	case history.OK:
		o.flags |= isOK
		o.rev = in.Revision
		h.checkAnswer(&o, in)
	}
	h.all = append(h.all, o)
}

// checkAnswer sees to it that an acknowledgement can be judged at all.
func (h *ops) checkAnswer(o *op, in *history.Op) {
	branch := h.branch(o, o.is(succeeded))
	switch {
	case in.Kind == history.KindKV && (len(in.Then) != 1 || len(in.Else) > 0 || len(in.Compares) > 0):
		h.broken(in, "is a single request and has %d", len(in.Then)+len(in.Else))
	case in.Revision <= 0:
		h.broken(in, "was acknowledged without a revision")
	case len(in.Results) != len(branch):
		h.broken(in, "has %d answers to %d requests", len(in.Results), len(branch))
	case in.Return < in.Invoke:
		h.broken(in, "returned before it was invoked")
	default:
		for i, r := range branch {
			if r.verb == history.Put || r.verb == history.Delete && in.Results[i].Deleted > 0 {
				o.flags |= owns
			}
		}
		if o.is(owns) {
			h.acked++
		}
		return
	}
	o.flags &^= isOK
	o.rev = 0
}

func (h *ops) broken(in *history.Op, format string, args ...any) {
	if h.malformed == "" {
		h.malformed = fmt.Sprintf("operation %d of client %d ", in.ID, in.Client) + fmt.Sprintf(format, args...)
	}
}

func (h *ops) member(name string) uint8 {
	for i, m := range h.members {
		if m == name {
			return uint8(i)
		}
	}
	h.members = append(h.members, name)
	return uint8(len(h.members) - 1)
}
