package verify

import (
	"cmp"
	"context"
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// replay goes once through the recovered store's revisions, in order, with the
// operations that belong to each: those that claim to have written it, and
// those that say they saw the state it made. Revisions are the linearization
// order, so nothing has to be searched for.
type replay struct {
	h     *ops
	t     *teller
	c     *cluster
	ref   *member
	chron *chronicle
	state *state
	sim   simulation

	durability findings
	order      findings // real time, and answers to what is linearizable
	reads      findings // serializable and historical reads
	txns       findings // branches taken, and what was written beside
	compaction findings // what it took that it should have left

	base      int64 // revisions up to it are not the run's
	compacted int64
	floor     []int64 // by op: the newest revision acknowledged before its invoke
	times     *timeline
	deletes   *pendingDeletes
	asked     map[uint32]struct{ foreign, known bool } // what the logs say of a key

	// What could not be judged, and why.
	outside   int                // ranges beyond the prefix
	unordered int                // compares that ask for the order of values
	below     int                // claims and answers at compacted revisions
	beyond    int                // answers newer than the store of a cluster that did not recover
	walOnly   int                // acknowledged writes that only a WAL shows
	atRisk    int                // the same, or on disks that do not serve
	unseen    int                // acknowledged writes that a disk which was not read may hold
	unwritten int                // values of operations that the truncated history does not have
	oldHoles  int                // holes older than the run
	strange   int                // deletes that a WAL no longer explains
	foreign   map[uint32]bool    // keys of the run that others wrote
	resolved  int                // unknown outcomes found in the store
	checked   int                // answers compared
	stale     int                // of those, to serializable and historical reads
	branches  int                // conditions compared
	about     uint32             // the key that the last comparison ended with
	watchErr  error              // why the recorders' account cannot be read
	blurred   bool               // something below the compaction is not known
	settled   bool               // the state at the compaction was compared with the store
	amended   []datadir.Revision // of revisions that the chronicle had otherwise, or not at all
	maybe     map[int32]bool     // deletes of unknown outcome that may have run where a lease may have ended
}

// task is an operation at the revision it belongs to.
type task struct {
	rev int64
	op  int32
	req int16 // for readAt
	why uint8
}

const (
	claim  uint8 = iota // it says that it wrote the revision
	answer              // it says what the state at the revision is
	readAt              // one request of it reads at the revision
)

func newReplay(h *ops, t *teller, c *cluster, chron *chronicle, floor []int64) *replay {
	r := &replay{
		h: h, t: t, c: c, ref: c.ref, chron: chron, state: newState(h.keys), floor: floor,
		base: t.run.Base.Revision, compacted: c.ref.compacted(), foreign: make(map[uint32]bool), maybe: make(map[int32]bool),
		asked: make(map[uint32]struct{ foreign, known bool }),
	}
	r.deletes = newPendingDeletes(h, r.state)
	return r
}

func (r *replay) tasks() []task {
	tasks := make([]task, 0, len(r.h.all)+len(r.h.all)/16)
	for i := range r.h.all {
		o := &r.h.all[i]
		if !o.is(isOK) {
			continue
		}
		why := answer
		if o.is(owns) {
			why = claim
		}
		tasks = append(tasks, task{o.rev, int32(i), 0, why})
		for n, q := range r.h.branch(o, o.is(succeeded)) {
			if q.verb == history.Range && q.rev > 0 {
				tasks = append(tasks, task{q.rev, int32(i), int16(n), readAt})
			}
		}
	}
	slices.SortFunc(tasks, func(a, b task) int {
		return cmp.Or(cmp.Compare(a.rev, b.rev), int(a.why)-int(b.why), int(a.op)-int(b.op), int(a.req)-int(b.req))
	})
	return tasks
}

// locate notes for every operation the first revision that holds a value of it.
func (r *replay) locate() {
	for i := range r.chron.recs {
		g := &r.chron.recs[i]
		if !g.Is(datadir.Named) {
			continue
		}
		if n := r.h.find(g.Op); n >= 0 && r.h.all[n].found == 0 && r.h.all[n].client == g.Client {
			r.h.all[n].found = g.Main
		}
	}
}

func (r *replay) run(ctx context.Context) error {
	r.locate()
	tasks := r.tasks()
	revs := r.chron.recs
	expect := max(r.compacted, 1) + 1
	if r.chron.told {
		expect = r.base + 1
	}
	for n := 0; len(revs) > 0 || len(tasks) > 0; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		rev := int64(1<<63 - 1)
		if len(revs) > 0 {
			rev = revs[0].Main
		}
		if len(tasks) > 0 {
			rev = min(rev, tasks[0].rev)
		}
		i, j, k := 0, 0, 0
		for i < len(revs) && revs[i].Main == rev {
			i++
		}
		for j < len(tasks) && tasks[j].rev == rev && tasks[j].why == claim {
			j++
		}
		for k = j; k < len(tasks) && tasks[k].rev == rev; k++ {
		}
		if rev > r.compacted && !r.settled {
			r.settle(expect)
			expect = max(r.compacted, 1) + 1
		}
		switch {
		case rev <= r.compacted && r.chron.told:
			r.old(rev, &expect, revs[:i], tasks[:j])
		case i > 0 && rev > r.compacted:
			r.hole(expect, rev, revs[:i])
			expect = rev + 1
			fallthrough
		default:
			r.revision(rev, revs[:i], tasks[:j])
		}
		for _, t := range tasks[j:k] {
			r.answer(rev, t)
		}
		revs, tasks = revs[i:], tasks[k:]
	}
	if !r.settled {
		r.settle(expect)
	}
	r.chron.amend(r.amended)
	r.chron.wrote(r.h, r.ref.revision())
	return nil
}

// revision judges the claims to one revision and moves the state on to what the
// store says it is, whoever wrote it.
func (r *replay) revision(rev int64, group []datadir.Revision, claims []task) {
	if rev <= r.compacted && !r.chron.told {
		for _, t := range claims {
			r.compactedClaim(rev, group, &r.h.all[t.op])
		}
		r.apply(group)
		return
	}
	own := slices.ContainsFunc(group, func(g datadir.Revision) bool { return !g.Is(datadir.Foreign) })
	owner := -1
	for _, t := range claims {
		o := &r.h.all[t.op]
		s := r.simulate(o, rev)
		// A write that took a revision left a record, even where the state
		// before it is not known to have what it deleted.
		same, meta := s.matches(r, group)
		if !same || len(group) == 0 {
			if rev <= r.compacted {
				r.contradicted(o, rev, group)
			} else {
				r.lost(o, rev, group)
			}
			continue
		}
		if owner >= 0 {
			continue // two identical deletes: told below
		}
		owner = int(t.op)
		o.at = rev
		r.confirm(o, s, meta)
	}
	if len(claims) > 1 {
		r.shared(rev, claims)
	}
	if owner < 0 && own {
		r.attribute(rev, group, claims)
	}
	r.apply(group)
}

// apply makes the records of a revision the state.
func (r *replay) apply(group []datadir.Revision) {
	for i := range group {
		g := &group[i]
		if g.Is(datadir.Foreign) {
			continue
		}
		var c cell
		if !g.Is(datadir.Tombstone) {
			c = cell{value: g.Value, create: g.Create, mod: g.Main, version: g.Version, lease: g.Lease, live: true}
		}
		r.state.set(r.state.rank[g.Key], c)
	}
}
