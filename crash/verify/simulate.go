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

// truth is whether a condition holds on a state, if that is known.
type truth struct{ held, sure bool }

// simulation is an operation run on the state before a revision.
type simulation struct {
	effects []effect
	conds   []truth  // of an acknowledged transaction's conditions
	wrong   []string // what its answers say that the state does not
	leaves  []request
}

// truths evaluates an acknowledged transaction's conditions on the state.
func (r *replay) truths(o *op) []truth {
	s := &r.sim
	s.conds = s.conds[:0]
	for _, c := range r.h.conditions(o) {
		held, sure := r.compare(r.h.cmps[c.cmps : c.cmps+uint32(c.n)])
		s.conds = append(s.conds, truth{held, sure})
	}
	return s.conds
}

// paths collects the requests that a transaction of unknown outcome would run
// on the state: etcd chooses all branches before the first of them runs.
func (r *replay) paths(reqs []request) {
	for i := range reqs {
		if reqs[i].verb != history.Txn {
			r.sim.leaves = append(r.sim.leaves, reqs[i])
			continue
		}
		t := &r.h.nested[reqs[i].txn]
		side := r.h.reqs[t.reqs : t.reqs+uint32(t.nThen)]
		if held, _ := r.compare(r.h.cmps[t.cmps : t.cmps+uint32(t.nCmp)]); !held {
			side = r.h.reqs[t.reqs+uint32(t.nThen) : t.reqs+uint32(t.nThen)+uint32(t.nElse)]
		}
		r.paths(side)
	}
}

// simulate runs o as revision rev on the state of the revision before it, and
// leaves the state as it was. Its own earlier writes are visible to its later
// requests (etcd's storeTxnWrite.Range reads at rev once it has changes).
// Answers are compared when it has any.
func (r *replay) simulate(o *op, rev int64) *simulation {
	s := &r.sim
	s.effects, s.wrong, s.leaves = s.effects[:0], s.wrong[:0], s.leaves[:0]
	var answers []result
	leaves := r.h.then(o)
	if o.is(isOK) {
		answers = r.h.results(o)
		r.truths(o)
	} else {
		held, _ := r.compare(r.h.compares(o))
		r.paths(r.h.branch(o, held))
		leaves = s.leaves
	}
	for i := range leaves {
		q := &leaves[i]
		var a *result
		if answers != nil {
			a = &answers[i]
		}
		s.step(r, q, a, rev)
	}
	r.state.rollback()
	return s
}

// step runs one request.
func (s *simulation) step(r *replay, q *request, a *result, rev int64) {
	from, to := r.state.span(q.key, q.end)
	wrong := func(why string) {
		if why != "" {
			s.wrong = append(s.wrong, why)
		}
	}
	switch q.verb {
	case history.Put:
		if a != nil && q.flags&wantsPrev != 0 {
			wrong(r.checkPrev(q, a))
		}
		c := put(r.state.cells[from], q.value, q.lease, rev)
		r.state.try(from, c)
		s.effects = append(s.effects, effect{from, c})
	case history.Delete:
		if a != nil && q.flags&wantsPrev != 0 {
			wrong(r.checkPrev(q, a))
		}
		n := int64(0)
		for k := r.state.next(from, to); k < to; k = r.state.next(k+1, to) {
			r.state.try(k, cell{})
			s.effects = append(s.effects, effect{k, cell{}})
			n++
		}
		if a != nil && a.deleted != n {
			wrong(fmt.Sprintf("its delete of %s says %d deleted, but %d keys were there", r.t.interval(q.key, q.end), a.deleted, n))
		}
	case history.Range:
		if a != nil && q.rev == 0 && r.inPrefix(q) {
			wrong(r.checkRange(q, a))
		}
	}
}

// matches says whether the records of a revision are exactly the effects. meta
// is set when keys and values are and create revision or version is not.
func (s *simulation) matches(r *replay, group []datadir.Revision) (same bool, meta string) {
	if len(group) != len(s.effects) {
		return false, ""
	}
	for i := range group {
		e, g := &s.effects[i], &group[i]
		if g.Is(datadir.Foreign) || r.state.rank[g.Key] != e.rank || g.Is(datadir.Tombstone) == e.cell.live {
			return false, ""
		}
		if !e.cell.live {
			continue
		}
		if g.Value != e.cell.value {
			return false, ""
		}
		if g.Create != e.cell.create || g.Version != e.cell.version || g.Is(datadir.BadMod) || g.Lease != e.cell.lease {
			meta = fmt.Sprintf("%s has create revision %d and version %d, where the revisions before make it %d and %d",
				r.t.key(g.Key), g.Create, g.Version, e.cell.create, e.cell.version)
			if g.Is(datadir.BadMod) {
				meta += ", and a mod revision that is not its own"
			}
			if g.Lease != e.cell.lease {
				meta += fmt.Sprintf(", and lease %x instead of %x", g.Lease, e.cell.lease)
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
