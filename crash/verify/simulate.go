package verify

import (
	"fmt"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// effect is one record that an operation must leave in the key bucket.
type effect struct {
	rank uint32
	cell cell // not live: a tombstone
}

// simulation is an operation run on the state before a revision.
type simulation struct {
	effects []effect
	held    bool     // the side of the transaction that ran
	sure    bool     // of held
	wrong   []string // what its answers say that the state does not
}

// simulate runs o as revision rev on the state of the revision before it, and
// leaves the state as it was. Its own earlier writes are visible to its later
// requests (etcd's storeTxnWrite.Range reads at rev once it has changes).
// Answers are compared when it has any.
func (r *replay) simulate(o *op, rev int64) *simulation {
	s := &r.sim
	s.effects, s.wrong = s.effects[:0], s.wrong[:0]
	s.held, s.sure = r.state.holds(r.h.compares(o))
	held := s.held
	if o.is(isOK) {
		held = o.is(succeeded)
	}
	var answers []result
	if o.is(isOK) {
		answers = r.h.results(o)
	}
	for i, q := range r.h.branch(o, held) {
		from, to := r.state.span(q.key, q.end)
		switch q.verb {
		case history.Put:
			c := put(r.state.cells[from], q.value, rev)
			r.state.try(from, c)
			s.effects = append(s.effects, effect{from, c})
		case history.Delete:
			n := int64(0)
			for k := r.state.next(from, to); k < to; k = r.state.next(k+1, to) {
				r.state.try(k, cell{})
				s.effects = append(s.effects, effect{k, cell{}})
				n++
			}
			if answers != nil && answers[i].deleted != n {
				s.wrong = append(s.wrong, fmt.Sprintf("its delete of %s says %d deleted, but %d keys were there", r.t.interval(q.key, q.end), answers[i].deleted, n))
			}
		case history.Range:
			if answers != nil && q.rev == 0 && r.inPrefix(&q) {
				if why := r.checkRange(&q, &answers[i]); why != "" {
					s.wrong = append(s.wrong, why)
				}
			}
		}
	}
	r.state.rollback()
	return s
}

// matches says whether the records of a revision are exactly the effects. meta
// is set when keys and values are and create revision or version is not.
func (s *simulation) matches(r *replay, group []datadir.Revision) (same bool, meta string) {
	if len(group) != len(s.effects) {
		return false, ""
	}
	for i := range group {
		e, g := &s.effects[i], &group[i]
		if g.Is(datadir.Foreign) || r.state.rank[r.ref.key(g)] != e.rank || g.Is(datadir.Tombstone) == e.cell.live {
			return false, ""
		}
		if !e.cell.live {
			continue
		}
		if g.Value != e.cell.value {
			return false, ""
		}
		if g.Create != e.cell.create || g.Version != e.cell.version || g.Is(datadir.BadMod) || g.Lease != 0 {
			meta = fmt.Sprintf("%s has create revision %d and version %d, where the revisions before make it %d and %d",
				r.t.key(r.ref.key(g)), g.Create, g.Version, e.cell.create, e.cell.version)
			if g.Is(datadir.BadMod) {
				meta += ", and a mod revision that is not its own"
			}
			if g.Lease != 0 {
				meta += ", and a lease that nobody gave it"
			}
		}
	}
	return true, meta
}

// inPrefix says whether the run alone writes the interval. Others' keys are not
// followed, so a range that reaches them cannot be judged.
func (r *replay) inPrefix(q *request) bool {
	if r.t.within(q.key, q.end) {
		return true
	}
	r.outside++
	return false
}

// checkRange compares an answer with the state; "" if it agrees.
func (r *replay) checkRange(q *request, a *result) string {
	from, to := r.state.span(q.key, q.end)
	kvs := r.h.kvs[a.kvs : a.kvs+a.n]
	at := from
	for i := range kvs {
		kv := &kvs[i]
		at = r.state.next(at, to)
		if at == to {
			return fmt.Sprintf("it answered %s, which was not there", r.t.key(kv.key))
		}
		if number := r.state.number[at]; number != kv.key {
			if rank := r.state.rank[kv.key]; rank > at && rank < to {
				return fmt.Sprintf("it did not answer %s, which was there with mod revision %d", r.t.key(number), r.state.cells[at].mod)
			}
			return fmt.Sprintf("it answered %s, which was not there", r.t.key(kv.key))
		}
		c := &r.state.cells[at]
		switch {
		case kv.value != c.value || kv.mod != c.mod:
			return fmt.Sprintf("it answered %s = %s with mod revision %d, where the state has %s with mod revision %d",
				r.t.key(kv.key), r.valueName(kv.value, kv.mod), kv.mod, r.valueName(c.value, c.mod), c.mod)
		case kv.version != c.version:
			return fmt.Sprintf("it answered version %d of %s, where the state has %d", kv.version, r.t.key(kv.key), c.version)
		case kv.create != c.create:
			return fmt.Sprintf("it answered create revision %d of %s, where the state has %d", kv.create, r.t.key(kv.key), c.create)
		case (kv.lease != 0) != c.leased:
			return fmt.Sprintf("it answered lease %x of %s, where the state has another", kv.lease, r.t.key(kv.key))
		}
		at++
	}
	count := r.state.count(from, to)
	switch {
	case q.limit > 0 && int64(len(kvs)) > q.limit:
		return fmt.Sprintf("it answered %d keys of %s with a limit of %d", len(kvs), r.t.interval(q.key, q.end), q.limit)
	case int64(len(kvs)) < count && (q.limit == 0 || int64(len(kvs)) < q.limit):
		missing := r.state.next(at, to)
		return fmt.Sprintf("it did not answer %s, which was there with mod revision %d", r.t.key(r.state.number[missing]), r.state.cells[missing].mod)
	case a.count != count:
		return fmt.Sprintf("it counted %d keys in %s, where the state has %d", a.count, r.t.interval(q.key, q.end), count)
	case a.more != (int64(len(kvs)) < count):
		return fmt.Sprintf("it said more=%v of %s after %d of %d keys", a.more, r.t.interval(q.key, q.end), len(kvs), count)
	}
	return ""
}
