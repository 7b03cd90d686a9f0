package verify

import (
	"fmt"

	"github.com/etcdlab/etcdlab/crash/history"
)

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
