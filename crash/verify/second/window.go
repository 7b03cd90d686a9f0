package second

import (
	"math"
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
)

// Window is a part of a long history: what took place on the stores from one
// revision to another.
//
// Every acknowledged operation says at which revision it took place, so that in
// any linearization those of a window follow one another, and a linearizable
// history has only linearizable windows. What else may have taken place in one,
// operations of unknown outcome and ends of leases, is free to; so a window is
// never wrongly said to be not linearizable.
type Window struct{ From, To int64 }

// Plan spreads at most n windows evenly over the acknowledged operations of the
// KV service, of which the revisions are given, each of about size operations.
func Plan(revisions []int64, size, n int) (windows []Window) {
	revisions = slices.Clone(revisions)
	slices.Sort(revisions)
	size = min(size, len(revisions))
	if size == 0 || n <= 0 {
		return nil
	}
	n = min(n, len(revisions)/size)
	last := int64(-1)
	for i := range n {
		at := 0
		if n > 1 {
			at = i * (len(revisions) - size) / (n - 1)
		}
		w := Window{revisions[at], revisions[at+size-1]}
		if w.From <= last || w.From == w.To {
			continue
		}
		windows = append(windows, w)
		last = w.From
	}
	return windows
}

// Resolve says at which revision an operation of unknown outcome took place, 0
// for nowhere; known is false if nothing tells.
type Resolve func(id uint64) (revision int64, known bool)

// Belongs says whether an operation may have taken place in the window.
func (w Window) Belongs(o *history.Op, resolve Resolve) bool {
	switch {
	case o.Outcome == history.Failed:
		return false
	case o.Outcome == history.OK:
		from := w.From
		if o.Kind <= history.KindTxn && owns(o) {
			from++ // the one that made From is part of the store already
		}
		return o.Revision >= from && o.Revision <= w.To
	case resolve != nil && o.Kind <= history.KindTxn:
		if rev, known := resolve(o.ID); known {
			return rev > w.From && rev <= w.To
		}
	}
	return true
}

// Search searches the window. base is the store at From: its Compacted is 0 where
// it is not known how far the store was compacted then, its Leases nil where it
// is not known which there were, and Foreign need not go beyond the window. ops
// are any that hold those that belong; resolve may be nil.
func (w Window) Search(ops []history.Op, base Base, resolve Resolve, l Limits) Result {
	l.defaults()
	var in []history.Op
	end := int64(math.MinInt64)
	for i := range ops {
		if o := &ops[i]; o.Outcome == history.OK && w.Belongs(o, resolve) {
			in = append(in, *o)
			end = max(end, o.Return)
		}
	}
	for i := range ops {
		o := &ops[i]
		unknown := o.Outcome == history.Unknown && o.Kind != history.KindLeaseGrant
		if unknown && w.Belongs(o, resolve) && o.Invoke <= end+base.Uncertainty {
			in = append(in, *o)
		}
	}
	if base.Leases == nil {
		base.Leases = presumed(in)
		for i := range base.KVs {
			if id := base.KVs[i].Lease; id != 0 {
				base.Leases[id] = 1
			}
		}
	}
	return search(in, base, true, l)
}

// presumed are the leases that must have been there before: those that the
// operations name and none of them grants.
func presumed(ops []history.Op) map[int64]int64 {
	leases := make(map[int64]int64)
	for i := range ops {
		o := &ops[i]
		eachPut(o, func(r *history.Request) {
			if r.Lease != 0 {
				leases[r.Lease] = 1
			}
		})
		if o.Kind == history.KindLeaseRevoke && o.Call != nil {
			leases[o.Call.Lease] = 1
		}
	}
	for i := range ops {
		if o := &ops[i]; o.Kind == history.KindLeaseGrant && o.Call != nil {
			delete(leases, o.Call.Lease)
		}
	}
	return leases
}
