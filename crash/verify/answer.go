package verify

import (
	"github.com/etcdlab/etcdlab/crash/history"
)

// confirm judges what else an operation that did write the revision says.
func (r *replay) confirm(o *op, s *simulation, meta string) {
	if meta != "" {
		r.order.add(rankRead, o.rev, func() Evidence {
			return r.t.story(r.t.evidence(o, r.t.describe(o)+" is in the store, but "+meta), o)
		})
	}
	r.conditions(o, o.rev-1, s.conds)
	r.checked += len(r.h.results(o))
	for _, why := range s.wrong {
		o.flags |= misanswered
		r.wrongAnswers(o).add(rankRead, o.rev, func() Evidence {
			return r.t.story(r.t.evidence(o, r.t.describe(o)+" answered from a state that never was: "+why), r.authors(o)...)
		})
	}
}

// wrongAnswers is the check that an operation's answers belong to.
func (r *replay) wrongAnswers(o *op) *findings {
	switch {
	case o.is(isTxn):
		return &r.txns
	case o.is(serializable):
		return &r.reads
	}
	return &r.order
}

// conditions holds what a transaction said of its compares against what the
// state at a revision makes of them.
func (r *replay) conditions(o *op, rev int64, held []truth) {
	for i, c := range r.h.conditions(o) {
		r.branches++
		switch {
		case !held[i].sure:
			r.unordered++
		case held[i].held != c.held:
			o.flags |= misanswered
			r.txns.add(rankOrder, rev, func() Evidence { return r.wrongBranch(o, held[i].held, rev) })
		}
	}
}

// answer compares what an operation that took no revision says with the state.
func (r *replay) answer(rev int64, t task) {
	o := &r.h.all[t.op]
	switch {
	case rev < r.compacted && !r.chron.told || rev < r.compacted && r.blurred:
		r.below++
		return
	case rev > r.ref.revision():
		r.fromTheFuture(o, rev)
		return
	}
	branch, results := r.h.branch(o, o.is(succeeded)), r.h.results(o)
	if t.why == readAt {
		r.read(o, rev, &branch[t.req], &results[t.req])
		return
	}
	if o.is(isTxn) {
		r.conditions(o, rev, r.truths(o))
	}
	for i := range branch {
		q := &branch[i]
		switch {
		case q.verb == history.Range && q.rev == 0:
			r.read(o, rev, q, &results[i])
		case q.verb == history.Delete:
			r.checked++
			from, to := r.state.span(q.key, q.end)
			if n := r.state.count(from, to); n > 0 {
				r.wrongAnswers(o).add(rankRead, rev, func() Evidence {
					r.about = r.state.number[r.state.next(from, to)]
					return r.t.story(r.t.evidence(o, r.t.describe(o)+" says that there was nothing to delete, but the state has "+r.t.key(r.about)), r.authors(o)...)
				})
			}
		}
	}
}

func (r *replay) read(o *op, rev int64, q *request, a *result) {
	if !r.inPrefix(q) {
		return
	}
	r.checked++
	f := r.wrongAnswers(o)
	if q.rev > 0 || o.is(serializable) {
		r.stale++
		f = &r.reads
	}
	if why := r.checkRange(q, a); why != "" {
		if q.rev == 0 {
			o.flags |= misanswered
		}
		f.add(rankRead, rev, func() Evidence {
			e := r.t.evidence(o, r.t.describe(o)+" does not show the state at revision "+itoa(rev)+": "+why)
			e.Revision = rev
			return r.t.story(e, r.authors(o)...)
		})
	}
}
