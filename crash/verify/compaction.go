package verify

import (
	"fmt"
	"math"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

// compactions is what the history tells of compactions: up to which revision one
// must have gone (done), and could have (asked), from a time on. etcd serves a
// read at the compacted revision itself, so done at 5 forbids reads at 4.
type compactions struct {
	c    *evidence
	h    *ops
	t    *teller
	f    *findings
	done milestones
	// seen is done as one process of a member told it: what a serializable read
	// of the same process must respect.
	seen  map[process]milestones
	asked milestones
	lives lives
	calls int // compactions asked for
	reads int // reads at a revision of their own, answered or refused
	// foreign is the revision of a compaction that the run did not ask for.
	foreign   int64
	uncertain int // refusals that such a compaction may explain
}

// process is one life of one member.
type process struct {
	member uint8
	life   int
}

// judgeCompaction says whether compactions took what they must and nothing else,
// and whether any member's revision fell. r is nil when no store can be read.
func (c *evidence) judgeCompaction(r *replay, rt *realtime, t *teller) Check {
	x := &compactions{c: c, h: c.ops, t: t, f: &findings{}, seen: make(map[process]milestones), lives: newLives(c.ops, c.events)}
	var d doubts
	right := ""
	if r != nil {
		x.f, d = &r.compaction, r.unknown()
		if r.compacted > r.base {
			right = fmt.Sprintf("the compaction at revision %d left the state that the revisions before it make", r.compacted)
		}
	}
	x.collect()
	x.judgeCalls(rt)
	for i := range x.h.all {
		x.judgeReads(i, rt.floor[i])
	}
	if c.eventsErr == nil {
		x.judgeFalls(rt)
	}
	if x.calls == 0 && x.f.total == 0 && right == "" && x.uncertain == 0 {
		return Check{}
	}
	if r == nil {
		d = append(d, "no member's store can be read, so what compactions left is not known")
	}
	if c.eventsErr != nil {
		d = append(d, "the events cannot be read, so which answers are of one process is not known: "+c.eventsErr.Error())
	}
	if x.h.truncated && r == nil {
		d = append(d, "the history ends early: compactions may be missing from it")
	}
	if x.uncertain > 0 {
		d = append(d, fmt.Sprintf("somebody else compacted at revision %d, which may explain %d refusals", x.foreign, x.uncertain))
	}
	x.judgeStores(&d)
	if right == "" {
		right = "no compaction was acknowledged"
		if top := x.done.before(math.MaxInt64).rev; top > 0 {
			right = fmt.Sprintf("the compaction at revision %d was kept", top)
		}
	}
	return settle(checkCompaction, x.f, d, fmt.Sprintf("%d findings against compactions", x.f.total),
		fmt.Sprintf("%s; %d compactions and %d reads at older revisions were answered as they must be, and no member's revision fell", right, x.calls, x.reads))
}

// collect makes the milestones.
func (x *compactions) collect() {
	for i := range x.h.calls {
		c := &x.h.calls[i]
		if c.kind != history.KindCompact {
			continue
		}
		x.calls++
		if c.outcome != history.Failed {
			x.asked = append(x.asked, milestone{c.invoke, c.Revision, source(-1 - i)})
		}
		if c.ok() || strings.Contains(c.err, "has been compacted") {
			x.know(milestone{c.ret, c.Revision, source(-1 - i)}, c.member, c.invoke)
		}
	}
	for i := range x.h.all {
		o := &x.h.all[i]
		if !o.is(saidCompacted) {
			continue
		}
		if lowest, _ := x.readsAt(o); lowest > 0 {
			x.know(milestone{o.ret, lowest + 1, source(i)}, o.member, o.invoke)
		}
	}
	x.done.settle()
	x.asked.settle()
	for p := range x.seen {
		m := x.seen[p]
		m.settle()
	}
	if x.c.cluster.ref != nil && !x.automatic() {
		top := max(x.asked.before(math.MaxInt64).rev, x.base())
		if got := x.c.cluster.ref.compacted(); got > top {
			x.foreign = got
		}
	}
}

func (x *compactions) know(m milestone, member uint8, invoke int64) {
	x.done = append(x.done, m)
	u := x.t.run.ClockUncertainty
	if life, sure := x.lives.of(member, invoke-u, m.at+u); sure && x.h.members[member] != "" {
		p := process{member, life}
		x.seen[p] = append(x.seen[p], m)
	}
}

// base is the highest revision that may have been compacted before the run.
func (x *compactions) base() int64 {
	if b := x.t.run.Base; b.CompactRevision == 0 {
		return b.Revision // it is not known
	}
	return x.t.run.Base.CompactRevision
}

// automatic says whether a member compacts by itself.
func (x *compactions) automatic() bool {
	for i := range x.t.run.Members {
		if value, ok := argument(x.t.run.Members[i].Args, "auto-compaction-retention"); ok && value != "0" && value != "" {
			return true
		}
	}
	return false
}

// readsAt is the lowest and the highest revision that an operation's ranges ask
// for; 0 for none.
func (x *compactions) readsAt(o *op) (lowest, highest int64) {
	x.h.each(o, func(q *request) {
		if q.verb != history.Range || q.rev <= 0 {
			return
		}
		if lowest == 0 || q.rev < lowest {
			lowest = q.rev
		}
		highest = max(highest, q.rev)
	})
	return lowest, highest
}

// stale says whether an operation may be answered by a member from what it has.
func (x *compactions) stale(o *op) bool {
	if o.is(isOK) {
		return o.is(serializable)
	}
	all := true
	x.h.each(o, func(q *request) { all = all && q.verb == history.Range && q.flags&stale != 0 })
	return all
}

// who tells of a mark's source.
func (x *compactions) who(by source) string {
	if by < 0 {
		c := &x.h.calls[-1-by]
		s := fmt.Sprintf("the compaction at revision %d (operation %d of client %d)", c.Revision, c.id, c.client)
		if c.ok() {
			return fmt.Sprintf("%s was acknowledged by %s at %s", s, x.h.members[c.member], x.t.at(c.ret))
		}
		return fmt.Sprintf("%s was refused at %s as already done", s, x.t.at(c.ret))
	}
	o := &x.h.all[by]
	return strings.TrimSuffix(x.t.describe(o), ",") + " as compacted"
}

// call is the frame of evidence about a call.
func (x *compactions) call(c *callOp, format string, args ...any) func() Evidence {
	return func() Evidence {
		return Evidence{
			Message: fmt.Sprintf(format, args...), Operation: c.id, Client: c.client, Member: x.h.members[c.member],
			Revision: c.Revision, Time: c.ret,
		}
	}
}
