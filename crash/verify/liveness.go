package verify

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

const checkLiveness = "liveness"

const (
	// stuckFor is how long a member may leave its clients without an answer
	// while others answer theirs, in nanoseconds: ten times etcd's default
	// election timeout, and more than its own requests may take (7 s).
	stuckFor = int64(10e9)
	// stalledFor is the same of the whole cluster: it may have to elect, and
	// to catch up, more than once.
	stalledFor = int64(30e9)
	// outstandingFor is how long one operation may wait while overtaken others
	// of the same member are answered.
	outstandingFor = int64(30e9)
	overtaken      = 100
	// fewAsks is how many operations in vain make it no accident.
	fewAsks = 3
	// lagEntries is how far etcd lets what is applied fall behind what is
	// committed before it refuses requests (maxGapBetweenApplyAndCommitIndex).
	lagEntries = 5000
)

// liveness is who was answered when.
type liveness struct {
	c       *evidence
	h       *ops
	t       *teller
	f       findings
	acks    [][]int32 // by member: linearizable operations acknowledged, in order of return
	asks    [][]int32 // by member: those without an answer, in order of invocation
	all     []int32   // acks of all members
	excuses map[string][]period
	longest int64 // the longest that a member's clients had no answer
	gaps    int   // that nothing could be made of, since the run broke off
}

// judgeLiveness says whether members that nothing kept from it served their
// clients. That those which were stopped came back is for recovery to say, and
// what they logged for etcd-checks.
func (c *evidence) judgeLiveness(t *teller, rt *realtime) Check {
	h := c.ops
	if len(h.all) == 0 {
		return Check{}
	}
	x := &liveness{c: c, h: h, t: t, acks: make([][]int32, len(h.members)), asks: make([][]int32, len(h.members)), excuses: c.excuses()}
	from, to := h.all[rt.byInvoke[0]].invoke, int64(0)
	for _, i := range rt.byReturn {
		if o := &h.all[i]; !o.is(serializable) {
			x.acks[o.member] = append(x.acks[o.member], i)
			x.all = append(x.all, i)
		}
	}
	for _, i := range rt.byInvoke {
		o := &h.all[i]
		to = max(to, o.ret)
		if !o.is(isOK) && !o.is(isFailed) {
			x.asks[o.member] = append(x.asks[o.member], i)
		}
	}
	var d doubts
	if c.eventsErr != nil {
		d = append(d, "the events cannot be read, so what may have kept members from serving is not known: "+c.eventsErr.Error())
	}
	broke := c.brokeOff()
	var silent []string
	for n, name := range h.members {
		if name == "" {
			continue
		}
		x.member(n, name, from, to, broke != "" || c.eventsErr != nil)
	}
	for _, m := range c.run.Members {
		if n := slices.Index(h.members, m.Name); n < 0 || len(x.acks[n])+len(x.asks[n]) == 0 {
			silent = append(silent, m.Name)
		}
	}
	x.cluster(from, to, broke != "" || c.eventsErr != nil)
	x.outstanding()
	x.lags()
	if x.gaps > 0 && broke != "" {
		d = append(d, fmt.Sprintf("%d times clients had no answer for long, which may be what broke the run off: %s", x.gaps, broke))
	}
	right := fmt.Sprintf("in %v no member that nothing kept from serving left its clients without an answer for %v", round(to-from), round(stuckFor))
	if x.longest > 0 {
		right += fmt.Sprintf(" (the longest was %v)", round(x.longest))
	}
	if len(silent) > 0 {
		right += "; nobody asked " + strings.Join(silent, ", ")
	}
	return settle(checkLiveness, &x.f, d, fmt.Sprintf("%d times clients were left without an answer", x.f.total), right)
}

// quiet calls f with every period between two acknowledgements that is long
// enough, less the excuses.
func (x *liveness) quiet(acks []int32, from, to, atLeast int64, excuses []period, f func(p period)) {
	at := from
	next := func(until int64) {
		if until-at >= atLeast {
			for _, p := range (period{at, until}).without(excuses) {
				if p.to-p.from >= atLeast {
					f(p)
				}
			}
		}
		at = until
	}
	for _, i := range acks {
		next(x.h.all[i].ret)
	}
	next(to)
}

// within are the operations that were asked and given up in a period.
func (x *liveness) within(asks []int32, p period) (out []int32) {
	for i := sort.Search(len(asks), func(i int) bool { return x.h.all[asks[i]].invoke >= p.from }); i < len(asks); i++ {
		o := &x.h.all[asks[i]]
		if o.invoke >= p.to {
			break
		}
		if o.ret <= p.to {
			out = append(out, asks[i])
		}
	}
	return out
}

// asked is the period over which operations in vain kept being asked; false
// where they were too few or too short to tell.
func (x *liveness) asked(vain []int32, atLeast int64) (p period, ok bool) {
	if len(vain) < fewAsks {
		return p, false
	}
	p.from = x.h.all[vain[0]].invoke
	for _, i := range vain {
		p.to = max(p.to, x.h.all[i].ret)
	}
	return p, p.to-p.from >= atLeast
}

// member looks for times in which one member alone did not serve.
func (x *liveness) member(n int, name string, from, to int64, excused bool) {
	x.quiet(x.acks[n], from, to, stuckFor/10, x.excuses[name], func(p period) {
		if vain := x.within(x.asks[n], p); len(vain) > 0 {
			x.longest = max(x.longest, x.h.all[vain[len(vain)-1]].ret-x.h.all[vain[0]].invoke)
		}
	})
	x.quiet(x.acks[n], from, to, stuckFor, x.excuses[name], func(p period) {
		vain := x.within(x.asks[n], p)
		p, ok := x.asked(vain, stuckFor)
		if !ok {
			return
		}
		half := p.from + (p.to-p.from)/2
		first, second := x.served(n, period{p.from, half}), x.served(n, period{half, p.to})
		if first < 0 || second < 0 {
			return // the others did not serve either
		}
		if excused {
			x.gaps++
			return
		}
		x.f.add(rankLost, p.from, func() Evidence {
			o, other := &x.h.all[vain[0]], &x.h.all[second]
			return x.t.story(Evidence{
				Message: fmt.Sprintf("%s was stuck: from %s to %s it acknowledged none of %d operations that were asked of it, though nothing kept it from serving, and others served, as %s did at %s",
					name, x.t.at(p.from), x.t.at(p.to), len(vain), x.t.by(other), x.t.at(other.ret)),
				Operation: uint64(o.id), Client: o.client, Member: name, Time: p.from,
			}, o, &x.h.all[vain[len(vain)-1]], other)
		})
	})
}

// served is an operation that another member acknowledged in a period; -1: none.
func (x *liveness) served(except int, p period) int {
	for i := sort.Search(len(x.all), func(i int) bool { return x.h.all[x.all[i]].ret >= p.from }); i < len(x.all); i++ {
		o := &x.h.all[x.all[i]]
		if o.ret > p.to {
			break
		}
		if int(o.member) != except {
			return int(x.all[i])
		}
	}
	return -1
}

// cluster looks for times in which nobody was served though a quorum was well.
func (x *liveness) cluster(from, to int64, excused bool) {
	if x.c.quotaReached() != "" {
		return // it may refuse all writes
	}
	var vain []int32
	for n, name := range x.h.members {
		for _, i := range x.asks[n] {
			o := &x.h.all[i]
			if len((period{o.invoke, o.ret}).without(x.excuses[name])) == 1 {
				vain = append(vain, i)
			}
		}
	}
	slices.SortFunc(vain, func(a, b int32) int { return int(x.h.all[a].invoke - x.h.all[b].invoke) })
	x.quiet(x.all, from, to, stalledFor, x.c.crippled(x.excuses), func(p period) {
		some := x.within(vain, p)
		p, ok := x.asked(some, stalledFor)
		if !ok {
			return
		}
		if excused {
			x.gaps++
			return
		}
		x.f.add(rankLost, p.from, func() Evidence {
			o := &x.h.all[some[0]]
			return x.t.story(Evidence{
				Message: fmt.Sprintf("the cluster was stuck: from %s to %s nobody acknowledged any of %d operations that were asked of members which nothing kept from serving, and those were a quorum",
					x.t.at(p.from), x.t.at(p.to), len(some)),
				Operation: uint64(o.id), Client: o.client, Member: x.h.members[o.member], Time: p.from,
			}, o, &x.h.all[some[len(some)-1]])
		})
	})
}

// outstanding looks for operations that many later ones of the same member
// overtook.
func (x *liveness) outstanding() {
	for i := range x.h.all {
		o := &x.h.all[i]
		name := x.h.members[o.member]
		if o.ret-o.invoke < outstandingFor || o.is(isFailed) || name == "" {
			continue
		}
		if left := (period{o.invoke, o.ret}).without(x.excuses[name]); len(left) != 1 || left[0].to-left[0].from < outstandingFor {
			continue
		}
		acks, n := x.acks[o.member], 0
		var last *op
		for j := sort.Search(len(acks), func(j int) bool { return x.h.all[acks[j]].ret > o.invoke }); j < len(acks) && n < overtaken; j++ {
			a := &x.h.all[acks[j]]
			if a.ret >= o.ret {
				break
			}
			if a.invoke > o.invoke {
				n, last = n+1, a
			}
		}
		if n < overtaken {
			continue
		}
		x.f.add(rankChanged, o.invoke, func() Evidence {
			e := x.t.evidence(o, fmt.Sprintf("%s had waited for %v at %s, while %s acknowledged %d operations that were asked of it later",
				x.t.describe(o), round(o.ret-o.invoke), x.t.at(o.ret), name, n))
			return x.t.story(e, o, last)
		})
	}
}

// lags looks for members that had not applied at the end what others had.
func (x *liveness) lags() {
	var ahead *member
	for _, m := range x.c.cluster.members {
		if m.serving() && (ahead == nil || m.final.AppliedIndex > ahead.final.AppliedIndex) {
			ahead = m
		}
	}
	for _, m := range x.c.cluster.members {
		if !m.serving() || m.final.AppliedIndex == 0 || m.final.AppliedIndex+lagEntries > ahead.final.AppliedIndex {
			continue
		}
		x.f.add(rankOrder, 0, func() Evidence {
			return Evidence{
				Message: fmt.Sprintf("with the load stopped, %s had applied entry %d and %s entry %d: it lags by %d", m.name, m.final.AppliedIndex, ahead.name, ahead.final.AppliedIndex, ahead.final.AppliedIndex-m.final.AppliedIndex),
				Member:  m.name, Time: x.c.final.Time,
			}
		})
	}
}
