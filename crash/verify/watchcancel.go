package verify

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

// cancel judges the end of a watch by the server. Only one for a compaction says
// something of the store: etcd ends a watch that still needs revisions below it.
func (j *watchJudge) cancel(w *watch, rec *history.WatchRecord) {
	to := rec.CompactRevision
	if to <= 0 {
		return
	}
	j.canceled++
	if need := w.needs(); need > 0 && to <= need {
		j.f.add(rankHole, need, func() Evidence {
			return j.evidence(w, rec.Time, need, "", "compaction: %s was canceled for the compaction at revision %d, though it needed nothing below %d: what it had been told of went up to revision %d",
				j.name(w), to, need, need-1)
		})
		return
	}
	if j.r == nil {
		return
	}
	switch j.asked.exactly(to, rec.Time) {
	case yes:
	case perhaps:
		j.foreign++
	default:
		j.f.add(rankPhantom, to, func() Evidence {
			return j.evidence(w, rec.Time, to, "", "compaction: %s was canceled for a compaction at revision %d that nobody had asked for; the newest asked for was at %d, and the stores are compacted at %d",
				j.name(w), to, j.asked.upTo(rec.Time), j.asked.final)
		})
	}
}

// answerable is what can be said of something that others may do too.
type answerable uint8

const (
	no answerable = iota
	yes
	perhaps // others may have
)

// askedCompactions are those that the run asked for, in order of invocation.
type askedCompactions struct {
	calls       []*callOp
	top         []int64 // the newest revision asked for up to each
	base        int64   // compacted when the run began
	before      int64   // revisions up to it are older than the run
	final       int64   // the stores' at the end
	others      bool    // someone else compacts too, or the history does not say
	uncertainty int64
}

func newAskedCompactions(c *evidence, r *replay) askedCompactions {
	x := askedCompactions{base: c.run.Base.CompactRevision, before: c.run.Base.Revision, uncertainty: c.run.ClockUncertainty}
	if r == nil {
		x.others = true
		return x
	}
	for i := range r.h.calls {
		if call := &r.h.calls[i]; call.kind == history.KindCompact && call.outcome != history.Failed {
			x.calls = append(x.calls, call)
		}
	}
	slices.SortFunc(x.calls, func(a, b *callOp) int { return cmp.Or(cmp.Compare(a.invoke, b.invoke), cmp.Compare(a.id, b.id)) })
	top := x.base
	for _, call := range x.calls {
		top = max(top, call.Revision)
		x.top = append(x.top, top)
	}
	x.others = r.h.truncated
	for _, m := range r.c.members {
		if m.store == nil {
			continue
		}
		to := m.compacted()
		x.final = max(x.final, to)
		if to > x.before && to != x.base && !slices.ContainsFunc(x.calls, func(call *callOp) bool { return call.Revision == to }) {
			x.others = true
		}
	}
	for _, m := range c.run.Members {
		x.others = x.others || slices.ContainsFunc(m.Args, func(a string) bool { return strings.Contains(a, "auto-compaction-retention") })
	}
	return x
}

// upTo is the newest revision that had been asked for at a time.
func (x *askedCompactions) upTo(at int64) int64 {
	n := sort.Search(len(x.calls), func(i int) bool { return x.calls[i].invoke > at+x.uncertainty })
	if n == 0 {
		return x.base
	}
	return x.top[n-1]
}

// refuted says that no compaction had reached a revision at a time: a later one
// up to it or below was done, which etcd refuses when it was compacted already.
func (x *askedCompactions) refuted(rev, at int64) bool {
	return slices.ContainsFunc(x.calls, func(call *callOp) bool {
		return call.ok() && call.invoke > at+x.uncertainty && call.Revision <= rev
	})
}

// reaches says whether a compaction at a revision or above may have been done at
// a time.
func (x *askedCompactions) reaches(rev, at int64) answerable {
	switch {
	case rev <= x.before, x.upTo(at) >= rev:
		return yes
	case x.others && !x.refuted(rev, at):
		return perhaps
	}
	return no
}

// exactly says whether a compaction at just that revision may have been done.
func (x *askedCompactions) exactly(rev, at int64) answerable {
	if rev <= x.before || rev == x.base {
		return yes
	}
	for _, call := range x.calls {
		if call.Revision == rev && call.invoke <= at+x.uncertainty {
			return yes
		}
	}
	if x.others && !x.refuted(rev, at) {
		return perhaps
	}
	return no
}

// memberFloors tell what revision a member is known to have had at a time, by
// what it had answered.
type memberFloors struct {
	made map[string][]floorAt
}

type floorAt struct{ time, rev int64 }

func (m *memberFloors) at(t *teller, member string, at int64) int64 {
	if m.made == nil {
		m.made = make(map[string][]floorAt)
		for i := range t.h.all {
			if o := &t.h.all[i]; o.is(isOK) {
				name := t.h.members[o.member]
				m.made[name] = append(m.made[name], floorAt{o.ret, o.rev})
			}
		}
		for _, list := range m.made {
			slices.SortFunc(list, func(a, b floorAt) int { return cmp.Compare(a.time, b.time) })
			for i := 1; i < len(list); i++ {
				list[i].rev = max(list[i].rev, list[i-1].rev)
			}
		}
	}
	list := m.made[member]
	if member == "" {
		return 0
	}
	if n := sort.Search(len(list), func(i int) bool { return list[i].time >= at }); n > 0 {
		return list[n-1].rev
	}
	return 0
}
