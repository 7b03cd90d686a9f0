package model

import (
	"sort"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

// read answers a range from what the transaction has made of the store by now,
// or from an older revision.
func (t *tx) read(r *history.Request) history.Result {
	kvs := t.kvs
	if r.Revision > 0 && r.Revision <= t.s.Revision {
		old := t.s.At(r.Revision)
		if old == nil {
			t.forgot = true
			return history.Result{Count: Forgotten}
		}
		kvs = old.kvs
	}
	return answer(r, span(kvs, r.Key, r.End))
}

func answer(r *history.Request, kvs []*history.KV) history.Result {
	out := history.Result{Count: int64(len(kvs))}
	if r.CountOnly {
		return out
	}
	order := r.Order
	if order == history.NoOrder {
		// etcd takes a limit's worth of keys and one before it sorts, if an order
		// is not asked for by name; with one it sorts them all.
		if r.Limit > 0 && int64(len(kvs)) > r.Limit+1 {
			kvs = kvs[:r.Limit+1]
		}
		order = history.Ascend
	}
	out.KVs = values(kvs)
	if r.Sort != history.SortKey || order == history.Descend {
		by := sort.Interface(&sorter{out.KVs, r.Sort})
		if order == history.Descend {
			by = sort.Reverse(by)
		}
		sort.Sort(by) // unstable, as etcd's is: ties come in the same order from the same algorithm
	}
	if r.Limit > 0 && int64(len(out.KVs)) > r.Limit {
		out.KVs, out.More = out.KVs[:r.Limit], true
	}
	if r.KeysOnly {
		for i := range out.KVs {
			kv := &out.KVs[i]
			kv.Value = ""
			if r.Sort != history.SortValue {
				kv.Lease = 0 // v3.7 answers from its index, which has no leases; v3.6 and before give them
			}
		}
	}
	return out
}

type sorter struct {
	kvs []history.KV
	by  history.Target
}

func (s *sorter) Len() int           { return len(s.kvs) }
func (s *sorter) Swap(i, j int)      { s.kvs[i], s.kvs[j] = s.kvs[j], s.kvs[i] }
func (s *sorter) Less(i, j int) bool { return Before(&s.kvs[i], &s.kvs[j], s.by) }

// Before says whether a comes before b in an ascending order by a target; two
// that tie come in any order.
func Before(a, b *history.KV, by history.Target) bool {
	switch by {
	case history.SortVersion:
		return a.Version < b.Version
	case history.SortCreate:
		return a.CreateRevision < b.CreateRevision
	case history.SortMod:
		return a.ModRevision < b.ModRevision
	case history.SortValue:
		return strings.Compare(a.Value, b.Value) < 0
	}
	return a.Key < b.Key
}
