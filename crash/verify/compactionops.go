package verify

import (
	"fmt"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

// judgeCalls says whether compactions were answered as they must be: etcd
// refuses one at or below the last and one above the newest revision.
func (x *compactions) judgeCalls(rt *realtime) {
	u := x.t.run.ClockUncertainty
	var known milestones // revisions, by when they were acknowledged
	acked := make(map[int64]int)
	for i := range x.h.calls {
		c := &x.h.calls[i]
		if c.kind != history.KindCompact || c.outcome == history.Unknown {
			continue
		}
		what := fmt.Sprintf("the compaction at revision %d (operation %d of client %d, asked at %s)", c.Revision, c.id, c.client, x.t.at(c.invoke))
		done := x.done.before(c.invoke - u)
		switch {
		case c.ok():
			first, again := acked[c.Revision]
			acked[c.Revision] = i
			switch {
			case c.rev > 0 && c.Revision > c.rev:
				x.f.add(rankOrder, c.Revision, x.call(c, "%s was acknowledged by %s, whose newest revision was %d: it is of the future", what, x.h.members[c.member], c.rev))
			case done.rev >= c.Revision:
				x.f.add(rankOrder, c.Revision, x.call(c, "%s was acknowledged by %s, though it had been done before: %s", what, x.h.members[c.member], x.who(done.by)))
			case again:
				x.f.add(rankOrder, c.Revision, x.call(c, "%s was acknowledged by %s, and so was the same compaction of client %d (operation %d): only one can have done it",
					what, x.h.members[c.member], x.h.calls[first].client, x.h.calls[first].id))
			}
		case strings.Contains(c.err, "has been compacted"):
			x.refusal(c.Revision-1, c.ret, x.call(c, "%s was refused as already done, but nobody had asked for one at or above it", what))
		case strings.Contains(c.err, "is a future revision"):
			if known == nil {
				known = x.acknowledged()
			}
			if at := known.before(c.invoke - u); at.rev >= c.Revision {
				x.f.add(rankOrder, c.Revision, x.call(c, "%s was refused as one of the future, though revision %d had been acknowledged before: %s", what, at.rev, x.acker(at.by)))
			}
		}
	}
}

// acknowledged are the revisions of all answers.
func (x *compactions) acknowledged() (m milestones) {
	for i := range x.h.all {
		if o := &x.h.all[i]; o.is(isOK) {
			m = append(m, milestone{o.ret, o.rev, source(i)})
		}
	}
	for i := range x.h.calls {
		if c := &x.h.calls[i]; c.rev > 0 {
			m = append(m, milestone{c.ret, c.rev, source(-1 - i)})
		}
	}
	m.settle()
	return m
}

func (x *compactions) acker(by source) string {
	if by < 0 {
		c := &x.h.calls[-1-by]
		return fmt.Sprintf("%s %d of client %d was answered with it by %s at %s", c.kind, c.id, c.client, x.h.members[c.member], x.t.at(c.ret))
	}
	return strings.TrimSuffix(x.t.describe(&x.h.all[by]), ",")
}

// refusal judges an answer that says that a revision was compacted: there must
// have been a compaction above it, asked for before the answer came.
func (x *compactions) refusal(rev, ret int64, tell func() Evidence) {
	switch {
	case x.asked.before(ret+x.t.run.ClockUncertainty+1).rev > rev, x.base() > rev, x.automatic():
	case x.foreign > rev || x.h.truncated:
		x.uncertain++
	default:
		x.f.add(rankOrder, rev, tell)
	}
}

// judgeReads judges one operation's reads at revisions of their own. floor is
// the newest revision that was acknowledged before it was invoked.
func (x *compactions) judgeReads(i int, floor int64) {
	o := &x.h.all[i]
	if o.is(isFailed) && o.flags&(saidCompacted|saidFuture) == 0 || !o.is(isOK) && !o.is(isFailed) {
		return
	}
	lowest, highest := x.readsAt(o)
	switch {
	case o.is(saidCompacted):
		x.reads++
		if lowest == 0 {
			x.f.add(rankOrder, 0, x.read(o, 0, "was refused as compacted, though it reads at no older revision"))
			return
		}
		x.refusal(lowest, o.ret, x.read(o, lowest, fmt.Sprintf("reads at revision %d and was refused as compacted, but nobody had asked for a compaction above it", lowest)))
	case o.is(saidFuture):
		x.reads++
		if !x.stale(o) && highest <= floor {
			x.f.add(rankOrder, highest, x.read(o, highest, fmt.Sprintf("reads at revision %d and was refused as one of the future, though revision %d had been acknowledged before it was invoked", highest, floor)))
		}
	case lowest > 0:
		x.reads++
		before := o.invoke - x.t.run.ClockUncertainty
		done := x.done.before(before)
		if x.stale(o) {
			// A member that lags may not know of the compaction yet; the
			// process that told of it does.
			done = milestone{}
			if life, sure := x.lives.of(o.member, before, o.ret+x.t.run.ClockUncertainty); sure && x.c.eventsErr == nil {
				done = x.seen[process{o.member, life}].before(before)
			}
		}
		if lowest < done.rev {
			x.f.add(rankRead, lowest, x.read(o, lowest, fmt.Sprintf("was answered at revision %d, though it is compacted: %s", lowest, x.who(done.by))))
		}
	}
}

func (x *compactions) read(o *op, rev int64, why string) func() Evidence {
	return func() Evidence {
		e := x.t.evidence(o, fmt.Sprintf("%s of client %d (operation %d, asked at %s of %s) %s", x.t.what(o), o.client, o.id, x.t.at(o.invoke), x.t.by(o), why))
		e.Revision = rev
		return e
	}
}

// judgeStores says whether an acknowledged compaction is still known to every
// member that serves and whose db holds all that it had applied at the end.
func (x *compactions) judgeStores(d *doubts) {
	var top *callOp
	for i := range x.h.calls {
		if c := &x.h.calls[i]; c.kind == history.KindCompact && c.ok() && (top == nil || c.Revision > top.Revision) {
			top = c
		}
	}
	if top == nil {
		return
	}
	for _, m := range x.c.cluster.members {
		if !m.serving() || !m.readable() {
			continue // told by recovery, or disk
		}
		if m.compacted() >= top.Revision {
			continue
		}
		if !m.whole() {
			*d = append(*d, fmt.Sprintf("the db of %s holds what entry %d made, not all that it had applied, so whether it kept the compaction at revision %d is not known",
				m.name, m.store.Report.DB.ConsistentIndex, top.Revision))
			continue
		}
		x.f.add(rankLost, top.Revision, func() Evidence {
			return Evidence{
				Message: fmt.Sprintf("the compaction at revision %d (operation %d of client %d), acknowledged by %s at %s, is undone on %s, whose db is compacted at revision %d%s",
					top.Revision, top.id, top.client, x.h.members[top.member], x.t.at(top.ret), m.name, m.compacted(), x.t.nextFault(top.invoke)),
				Operation: top.id, Client: top.client, Member: m.name, Revision: top.Revision, Time: top.ret,
			}
		})
	}
}

// whole says whether the copy of a member's db holds all that the member had
// applied when it was asked at the end, with the load stopped.
func (m *member) whole() bool {
	return m.final != nil && m.final.AppliedIndex > 0 && m.store.Report.DB.ConsistentIndex >= m.final.AppliedIndex
}
