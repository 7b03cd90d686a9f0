package verify

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// loadOps reads history.bin. A history that is damaged in the middle is an
// error; one that ends early is truncated.
func loadOps(path string, eras *eras, keys *keyTable) (*ops, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := history.NewReader(f)
	if err != nil {
		return nil, err
	}
	h := &ops{keys: keys, eras: eras}
	names := eras.names
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
		h.inTerm(o.member, in.RaftTerm, in.Return)
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
