package verify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// lost judges an acknowledged write that the replayed store does not hold at
// its revision.
func (r *replay) lost(o *op, rev int64, group []datadir.Revision) {
	var holders, logs []*member
	unread := 0
	for _, m := range r.c.members {
		switch {
		case !m.readable() && !m.ruined():
			unread++
		case m.readable() && r.holds(m, o):
			holders = append(holders, m)
		case r.pending(m, o):
			logs = append(logs, m)
		}
	}
	if !r.c.recovered {
		switch {
		case len(holders)+len(logs) > 0:
			r.atRisk++
			return
		case unread > 0:
			r.unseen++
			return
		}
	}
	if r.c.recovered && slices.ContainsFunc(logs, (*member).serving) {
		r.walOnly++
		return
	}
	rank := rankLost
	if r.partly(o, group) {
		rank = rankChanged
	}
	r.durability.add(rank, rev, func() Evidence {
		return r.t.story(r.t.evidence(o, r.t.describe(o)+" is not in the store after recovery: "+r.instead(o, rev, group)+r.elsewhere(holders, logs)+r.t.nextFault(o.invoke)), o)
	})
}

// instead tells what is where an acknowledged write should be.
func (r *replay) instead(o *op, rev int64, group []datadir.Revision) string {
	agree := names(r.agreeing(rev))
	var s string
	switch {
	case len(r.agreeing(rev)) == 0:
		s = "no member's disk survived with a store that can be read"
	case rev > r.ref.revision():
		s = fmt.Sprintf("the newest revision is %d on %s", r.ref.revision(), agree)
	case len(group) == 0:
		s = fmt.Sprintf("there is no revision %d on %s", rev, agree)
	default:
		s = fmt.Sprintf("revision %d holds %s on %s", rev, r.t.records(r.ref, group), agree)
		if r.partly(o, group) {
			s += ", which is not all of it or not its bytes"
		}
	}
	if o.found > 0 && o.found != rev {
		s += fmt.Sprintf("; its value is at revision %d", o.found)
	}
	return s
}

// agreeing are the members whose store holds the same at a revision as the
// replayed one.
func (r *replay) agreeing(rev int64) (same []*member) {
	want := r.ref.group(rev)
	for _, m := range r.c.members {
		if !m.readable() {
			continue
		}
		got := m.group(rev)
		if len(got) == len(want) && slices.EqualFunc(got, want, func(a, b datadir.Revision) bool { return a.Digest == b.Digest }) {
			same = append(same, m)
		}
	}
	return same
}

func (r *replay) elsewhere(holders, logs []*member) string {
	var parts []string
	if len(holders) > 0 {
		parts = append(parts, "; the store of "+names(holders)+" has it")
	}
	if len(logs) > 0 {
		parts = append(parts, "; the log of "+names(logs)+" has it")
	}
	return strings.Join(parts, "")
}

// partly says whether a revision holds something that is the operation's: some
// of its puts, or the right key with other bytes.
func (r *replay) partly(o *op, group []datadir.Revision) bool {
	for i := range group {
		g := &group[i]
		if g.Is(datadir.Named) && g.Op == uint64(o.id) && g.Client == o.client {
			return true
		}
		if g.Flags&(datadir.Named|datadir.Tombstone|datadir.Foreign) == 0 {
			for _, q := range r.h.branch(o, o.is(succeeded)) {
				if q.verb == history.Put && q.key == g.Key {
					return true
				}
			}
		}
	}
	return false
}

// holds says whether a member's store has all that an acknowledged write must
// have left at its revision.
func (r *replay) holds(m *member, o *op) bool {
	group := m.group(o.rev)
	if len(group) == 0 {
		return false
	}
	for i, q := range r.h.branch(o, o.is(succeeded)) {
		switch q.verb {
		case history.Put:
			if !slices.ContainsFunc(group, func(g datadir.Revision) bool {
				return !g.Is(datadir.Tombstone) && g.Key == q.key && g.Value == q.value
			}) {
				return false
			}
		case history.Delete:
			n := int64(0)
			from, to := r.state.span(q.key, q.end)
			for j := range group {
				if k := r.state.rank[group[j].Key]; group[j].Is(datadir.Tombstone) && k >= from && k < to {
					n++
				}
			}
			if n != r.h.results(o)[i].deleted {
				return false
			}
		}
	}
	return true
}

// pending says whether a member's log holds the write beyond what its db shows.
func (r *replay) pending(m *member, o *op) bool {
	if m.pendingOps[uint64(o.id)] {
		return true
	}
	branch := r.h.branch(o, o.is(succeeded))
	return slices.ContainsFunc(m.pendingDeletes, func(w datadir.Write) bool {
		return slices.ContainsFunc(branch, func(q request) bool {
			return q.verb == history.Delete && r.t.keys.names[q.key] == w.Key && r.t.keys.names[q.end] == w.End
		})
	})
}

// compactedClaim judges a write at a revision that compaction may have removed:
// what is still there must be right.
func (r *replay) compactedClaim(rev int64, group []datadir.Revision, o *op) {
	for _, q := range r.h.branch(o, o.is(succeeded)) {
		if q.verb != history.Put {
			continue
		}
		for i := range group {
			g := &group[i]
			if g.Key == q.key && (g.Is(datadir.Tombstone) || g.Value != q.value) {
				r.lost(o, rev, group)
				return
			}
		}
	}
	if len(group) == 0 {
		r.below++
		return
	}
	o.at = rev
}

// shared tells of two acknowledged writes that were given one revision.
func (r *replay) shared(rev int64, claims []task) {
	a, b := &r.h.all[claims[0].op], &r.h.all[claims[1].op]
	r.order.add(rankOrder, rev, func() Evidence {
		return r.t.story(r.t.evidence(b, fmt.Sprintf("revision %d was acknowledged to two writes: %s and %s", rev, r.t.describe(a), strings.TrimSuffix(r.t.describe(b), ","))), a, b)
	})
}

func (r *replay) wrongBranch(o *op, held bool, rev int64) Evidence {
	says := map[bool]string{true: "held", false: "did not hold"}
	if cs := r.h.compares(o); len(cs) > 0 {
		r.about = cs[0].key
	}
	return r.t.story(r.t.evidence(o, fmt.Sprintf("%s says that its compares %s, but at revision %d they %s", r.t.describe(o), says[!held], rev, says[held])), r.authors(o)...)
}

// fromTheFuture judges an answer at a revision that the store does not have.
func (r *replay) fromTheFuture(o *op, rev int64) {
	if !r.c.recovered || len(r.ref.pendingOps)+len(r.ref.pendingDeletes) > 0 {
		r.beyond++
		return
	}
	r.order.add(rankOrder, rev, func() Evidence {
		e := r.t.evidence(o, fmt.Sprintf("%s saw revision %d, but after recovery the newest revision is %d%s", r.t.describe(o), rev, r.ref.revision(), r.t.nextFault(o.invoke)))
		e.Revision = rev
		return r.t.story(e, o)
	})
}

// hole tells of revisions that are missing from the store, and of records that
// are missing from a revision. Every revision above the compaction has a record.
func (r *replay) hole(expect, rev int64, group []datadir.Revision) {
	if from := max(expect, r.base+1); from < rev {
		r.durability.add(rankHole, from, func() Evidence {
			return Evidence{
				Message: fmt.Sprintf("revisions %d to %d are missing from the store of %s: revision %d follows %d", from, rev-1, names(r.agreeing(from)), rev, expect-1),
				Member:  r.ref.name, Revision: from,
			}
		})
	} else if expect < rev {
		r.oldHoles++
	}
	for i := range group {
		if int(group[i].Sub) != i {
			r.durability.add(rankHole, rev, func() Evidence {
				return Evidence{
					Message: fmt.Sprintf("record %d of revision %d is missing from the store of %s, which has %s", i, rev, names(r.agreeing(rev)), r.t.records(r.ref, group)),
					Member:  r.ref.name, Revision: rev,
				}
			})
			return
		}
	}
}

func (r *replay) valueName(hash uint64, mod int64) string {
	for _, g := range r.chron.group(mod) {
		if g.Value == hash && g.Is(datadir.Named) {
			return value(g.Client, g.Op, int(g.N))
		}
	}
	return "a value that revision " + itoa(mod) + " does not have"
}
