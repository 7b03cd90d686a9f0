package second

import (
	"cmp"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/model"
)

// agrees compares an acknowledged answer with the model's.
func (p *problem) agrees(o *history.Op, said *model.Answer) bool {
	if o.Kind != history.KindKV && o.Kind != history.KindTxn {
		return true // the revision is all that is compared of leases and compactions
	}
	if o.Kind == history.KindTxn && o.Succeeded != said.Succeeded {
		return false
	}
	branch := o.Then
	if o.Kind == history.KindTxn && !said.Succeeded {
		branch = o.Else
	}
	return p.same(branch, o.Results, said.Results)
}

func (p *problem) same(branch []history.Request, got, want []history.Result) bool {
	if len(got) != len(branch) || len(want) != len(branch) {
		return false
	}
	for i := range branch {
		r, g, w := &branch[i], &got[i], &want[i]
		switch r.Verb {
		case history.Put:
			if r.Prev && !slices.Equal(g.KVs, w.KVs) {
				return false
			}
		case history.Delete:
			if g.Deleted != w.Deleted || r.Prev && !slices.Equal(g.KVs, w.KVs) {
				return false
			}
		case history.Range:
			if w.Count != model.Forgotten && p.within(r.Key, r.End) && !sameRange(r, g, w) {
				return false
			}
		case history.Txn:
			side := r.Txn.Then
			if !w.Succeeded {
				side = r.Txn.Else
			}
			if g.Succeeded != w.Succeeded || !p.same(side, g.Results, w.Results) {
				return false
			}
		}
	}
	return true
}

// sameRange allows what differs by right: the order of keys that tie in what
// they are sorted by, which of them a limit cuts, and leases in answers of keys
// only, which v3.7 leaves out.
func sameRange(r *history.Request, got, want *history.Result) bool {
	if got.Count != want.Count || got.More != want.More || len(got.KVs) != len(want.KVs) {
		return false
	}
	if r.Sort == history.SortKey {
		return slices.EqualFunc(got.KVs, want.KVs, func(a, b history.KV) bool { return sameKV(r, a, b) })
	}
	for i := range got.KVs {
		a, b := &got.KVs[i], &want.KVs[i]
		hidden := r.KeysOnly && r.Sort == history.SortValue
		if !hidden && (model.Before(a, b, r.Sort) || model.Before(b, a, r.Sort)) {
			return false
		}
	}
	expected := make(map[string]history.KV, len(want.KVs))
	for _, kv := range want.KVs {
		expected[kv.Key] = kv
	}
	seen := make(map[string]bool, len(got.KVs))
	for _, kv := range got.KVs {
		if seen[kv.Key] {
			return false
		}
		seen[kv.Key] = true
		if w, ok := expected[kv.Key]; ok && !sameKV(r, kv, w) || !ok && !got.More {
			return false
		}
	}
	return true
}

func sameKV(r *history.Request, a, b history.KV) bool {
	if r.KeysOnly {
		a.Lease, b.Lease = 0, 0
	}
	return a == b
}

// since knows the earliest time at which a revision can have been the newest:
// the latest invoke of any write acknowledged at one up to it.
type since struct {
	revs  []int64
	times []int64
}

func newSince(ops []history.Op) *since {
	var order []int
	for i := range ops {
		if o := &ops[i]; o.Outcome == history.OK && (o.Kind == history.KindKV || o.Kind == history.KindTxn) && owns(o) {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(ops[a].Revision, ops[b].Revision) })
	s := &since{}
	latest := int64(math.MinInt64)
	for _, i := range order {
		latest = max(latest, ops[i].Invoke)
		s.revs, s.times = append(s.revs, ops[i].Revision), append(s.times, latest)
	}
	return s
}

func (s *since) at(rev int64) int64 {
	i, found := slices.BinarySearch(s.revs, rev)
	for found && i+1 < len(s.revs) && s.revs[i+1] == rev {
		i++
	}
	if !found {
		i--
	}
	if i < 0 {
		return math.MinInt64
	}
	return s.times[i]
}

// concurrency is the most operations in flight at a time.
func concurrency(ops []porcupine.Operation) (most int) {
	type moment struct {
		at int64
		by int
	}
	var moments []moment
	for i := range ops {
		moments = append(moments, moment{ops[i].Call, 1}, moment{ops[i].Return, -1})
	}
	slices.SortFunc(moments, func(a, b moment) int { return cmp.Or(cmp.Compare(a.at, b.at), b.by-a.by) })
	n := 0
	for _, m := range moments {
		n += m.by
		most = max(most, n)
	}
	return most
}
