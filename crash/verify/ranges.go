package verify

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

// checkPrev compares what a put or delete says was there before with the state.
func (r *replay) checkPrev(q *request, a *result) string {
	all := request{verb: history.Range, key: q.key, end: q.end}
	n := int64(a.n)
	return r.checkRange(&all, &result{kvs: a.kvs, n: a.n, count: n})
}

// checkRange compares an answer with the state; "" if it agrees.
func (r *replay) checkRange(q *request, a *result) string {
	r.about = q.key
	from, to := r.state.span(q.key, q.end)
	count := r.state.count(from, to)
	kvs := r.h.kvs[a.kvs : a.kvs+a.n]
	var why string
	switch {
	case q.flags&countOnly != 0:
		if len(kvs) > 0 {
			why = fmt.Sprintf("it answered %s where only the count was asked", r.t.key(kvs[0].key))
		} else if a.count == count && !a.more {
			return ""
		}
	case sorted(q):
		why = r.checkSorted(q, kvs, from, to)
	default:
		why = r.checkRow(q, kvs, from, to)
	}
	if why != "" {
		return why
	}
	switch {
	case q.limit > 0 && int64(len(kvs)) > q.limit:
		return fmt.Sprintf("it answered %d keys of %s with a limit of %d", len(kvs), r.t.interval(q.key, q.end), q.limit)
	case a.count != count:
		return fmt.Sprintf("it counted %d keys in %s, where the state has %d", a.count, r.t.interval(q.key, q.end), count)
	case a.more != (int64(len(kvs)) < count && q.flags&countOnly == 0):
		return fmt.Sprintf("it said more=%v of %s after %d of %d keys", a.more, r.t.interval(q.key, q.end), len(kvs), count)
	}
	return ""
}

// sorted says whether the answer is in another order than the keys'.
func sorted(q *request) bool {
	return q.sort != history.SortKey || q.order == history.Descend
}

// checkRow compares an answer in order of keys.
func (r *replay) checkRow(q *request, kvs []keyValue, from, to uint32) string {
	at := from
	for i := range kvs {
		kv := &kvs[i]
		at = r.state.next(at, to)
		if at == to {
			return fmt.Sprintf("it answered %s, which was not there", r.t.key(kv.key))
		}
		if number := r.state.number[at]; number != kv.key {
			if rank := r.state.rank[kv.key]; rank > at && rank < to {
				return r.notAnswered(at)
			}
			return fmt.Sprintf("it answered %s, which was not there", r.t.key(kv.key))
		}
		if why := r.checkKV(q, kv, at); why != "" {
			return why
		}
		at++
	}
	if missing := r.state.next(at, to); missing < to && (q.limit == 0 || int64(len(kvs)) < q.limit) {
		return r.notAnswered(missing)
	}
	return ""
}

func (r *replay) notAnswered(rank uint32) string {
	r.about = r.state.number[rank]
	return fmt.Sprintf("it did not answer %s, which was there with mod revision %d", r.t.key(r.state.number[rank]), r.state.cells[rank].mod)
}

// checkKV compares one key with the state's.
func (r *replay) checkKV(q *request, kv *keyValue, rank uint32) string {
	c := &r.state.cells[rank]
	value := c.value
	if q.flags&keysOnly != 0 {
		value = emptyHash
	}
	r.about = kv.key
	switch {
	case kv.value != value || kv.mod != c.mod:
		return fmt.Sprintf("it answered %s = %s with mod revision %d, where the state has %s with mod revision %d",
			r.t.key(kv.key), r.valueName(kv.value, kv.mod), kv.mod, r.valueName(c.value, c.mod), c.mod)
	case kv.version != c.version:
		return fmt.Sprintf("it answered version %d of %s, where the state has %d", kv.version, r.t.key(kv.key), c.version)
	case kv.create != c.create:
		return fmt.Sprintf("it answered create revision %d of %s, where the state has %d", kv.create, r.t.key(kv.key), c.create)
	case kv.lease != c.lease && (q.flags&keysOnly == 0 || kv.lease != 0): // v3.7 leaves it out with the value
		return fmt.Sprintf("it answered lease %x of %s, where the state has %x", kv.lease, r.t.key(kv.key), c.lease)
	}
	return ""
}

// checkSorted compares an answer that etcd sorted before it cut it at the limit.
// Keys that are equal by what it is sorted by may come in any order.
func (r *replay) checkSorted(q *request, kvs []keyValue, from, to uint32) string {
	seen := make(map[uint32]bool, len(kvs))
	for i := range kvs {
		rank := r.state.rank[kvs[i].key]
		if rank < from || rank >= to || !r.state.cells[rank].live || seen[rank] {
			return fmt.Sprintf("it answered %s, which was not there or twice", r.t.key(kvs[i].key))
		}
		seen[rank] = true
		if why := r.checkKV(q, &kvs[i], rank); why != "" {
			return why
		}
	}
	if q.order == history.NoOrder && q.limit > 0 {
		// etcd takes one key more than asked for, in order of keys, before it
		// sorts and cuts.
		n := q.limit + 1
		for k := r.state.next(from, to); k < to; k = r.state.next(k+1, to) {
			if n--; n < 0 {
				to = k
			}
		}
	}
	before := func(a, b uint32) (before, sure bool) {
		if q.flags&keysOnly != 0 && q.sort == history.SortValue {
			return false, false // v3.7 leaves the values out before it sorts by them
		}
		n, sure := r.compareBy(q.sort, a, b)
		if q.order == history.Descend {
			n = -n
		}
		return n < 0, sure
	}
	for i := 1; i < len(kvs); i++ {
		a, b := r.state.rank[kvs[i-1].key], r.state.rank[kvs[i].key]
		if wrong, sure := before(b, a); wrong && sure {
			return fmt.Sprintf("it answered %s before %s, sorted by %s (%s)", r.t.key(kvs[i-1].key), r.t.key(kvs[i].key), q.sort, q.order)
		}
	}
	for k := r.state.next(from, to); k < to; k = r.state.next(k+1, to) {
		if seen[k] {
			continue
		}
		if q.limit == 0 || int64(len(kvs)) < q.limit {
			return r.notAnswered(k)
		}
		if first, sure := before(k, r.state.rank[kvs[len(kvs)-1].key]); first && sure {
			return r.notAnswered(k)
		}
	}
	return ""
}

// compareBy compares two live keys by what a range is sorted by.
func (r *replay) compareBy(by history.Target, a, b uint32) (n int, sure bool) {
	x, y := &r.state.cells[a], &r.state.cells[b]
	switch by {
	case history.SortVersion:
		return cmp.Compare(x.version, y.version), true
	case history.SortCreate:
		return cmp.Compare(x.create, y.create), true
	case history.SortMod:
		return cmp.Compare(x.mod, y.mod), true
	case history.SortValue:
		if x.value == y.value {
			return 0, true
		}
		v, ok1 := r.text(a)
		w, ok2 := r.text(b)
		return strings.Compare(v, w), ok1 && ok2
	}
	return cmp.Compare(a, b), true
}
