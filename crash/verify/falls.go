package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// height is the highest revision that a process of a member has answered with.
type height struct {
	life int
	rev  int64
	by   source
}

// judgeFalls says whether a member ever answered with a lower revision than it
// had before, serializable reads included: a process applies entries in order.
// Across a restart only linearizable answers are bound, which is judged with
// real time: a new process that is without a quorum may answer serializable
// reads from before it has applied its log again (etcd serves after its
// wait-cluster-ready-timeout, ready or not).
func (x *compactions) judgeFalls(rt *realtime) {
	h, u := x.h, x.t.run.ClockUncertainty
	byReturn, byInvoke := make([]source, 0, len(h.calls)), make([]source, 0, len(h.calls))
	for i := range h.calls {
		if h.calls[i].rev > 0 {
			byReturn, byInvoke = append(byReturn, source(-1-i)), append(byInvoke, source(-1-i))
		}
	}
	slices.SortFunc(byReturn, func(a, b source) int { return cmp.Compare(h.calls[-1-a].ret, h.calls[-1-b].ret) })
	slices.SortFunc(byInvoke, func(a, b source) int { return cmp.Compare(h.calls[-1-a].invoke, h.calls[-1-b].invoke) })
	tops := make([]height, len(h.members))
	// before takes in all answers that returned before a time.
	opAt, callAt := 0, 0
	before := func(at int64) {
		for ; opAt < len(rt.byReturn) && h.all[rt.byReturn[opAt]].ret < at; opAt++ {
			i := rt.byReturn[opAt]
			o := &h.all[i]
			x.rise(tops, o.member, o.invoke-u, o.ret+u, o.rev, source(i))
		}
		for ; callAt < len(byReturn) && h.calls[-1-byReturn[callAt]].ret < at; callAt++ {
			c := &h.calls[-1-byReturn[callAt]]
			x.rise(tops, c.member, c.invoke-u, c.ret+u, c.rev, byReturn[callAt])
		}
	}
	for _, i := range rt.byInvoke {
		o := &h.all[i]
		for len(byInvoke) > 0 && h.calls[-1-byInvoke[0]].invoke <= o.invoke {
			x.fallen(tops, before, byInvoke[0])
			byInvoke = byInvoke[1:]
		}
		before(o.invoke - u)
		top := &tops[o.member]
		if !o.is(isOK) || o.rev >= top.rev {
			continue
		}
		if life, sure := x.lives.of(o.member, o.invoke-u, o.ret+u); !sure || life != top.life {
			continue
		}
		told := *top
		x.f.add(rankOrder, o.rev, func() Evidence {
			return x.t.evidence(o, fmt.Sprintf("the revision of %s fell: %s is at revision %d, though the same process had been at %d before it was invoked at %s: %s",
				x.t.by(o), strings.TrimSuffix(x.t.describe(o), ","), o.rev, told.rev, x.t.at(o.invoke), x.acker(told.by)))
		})
	}
	for _, i := range byInvoke {
		x.fallen(tops, before, i)
	}
}

// rise takes in one answer, if it is of one process for sure.
func (x *compactions) rise(tops []height, member uint8, from, to, rev int64, by source) {
	top := &tops[member]
	if x.h.members[member] == "" {
		return // any of them may have answered
	}
	life, sure := x.lives.of(member, from, to)
	if !sure || life < top.life || life == top.life && rev <= top.rev {
		return
	}
	*top = height{life, rev, by}
}

// fallen judges a call.
func (x *compactions) fallen(tops []height, before func(int64), by source) {
	c, u := &x.h.calls[-1-by], x.t.run.ClockUncertainty
	before(c.invoke - u)
	top := tops[c.member]
	if c.rev >= top.rev {
		return
	}
	if life, sure := x.lives.of(c.member, c.invoke-u, c.ret+u); !sure || life != top.life {
		return
	}
	x.f.add(rankOrder, c.rev, func() Evidence {
		return Evidence{
			Message: fmt.Sprintf("the revision of %s fell: it answered %s %d of client %d with revision %d at %s, though the same process had been at %d before it was asked: %s",
				x.h.members[c.member], c.kind, c.id, c.client, c.rev, x.t.at(c.ret), top.rev, x.acker(top.by)),
			Operation: c.id, Client: c.client, Member: x.h.members[c.member], Revision: c.rev, Time: c.ret,
		}
	})
}
