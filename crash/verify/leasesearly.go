package verify

import (
	"fmt"
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
)

// lastMoments is how much of a history that ends early may lack operations that
// had been invoked: the longest that one takes.
const lastMoments = 30 * second

// early finds a lease that went, or that etcd said was gone, before its time and
// without anyone's revoking it.
func (l *leaseCheck) early(life *leaseLife) {
	if len(life.grants) == 0 {
		return
	}
	if e := life.end; e != nil && e.sure {
		l.endedEarly(life, e)
	}
	for _, c := range slices.Concat(life.renewals, life.asked) {
		if missing(c) && l.fresh(c) {
			l.missed(life, c)
		}
	}
	for _, n := range life.refused {
		l.refused(life, &l.r.h.all[n])
	}
}

func (l *leaseCheck) endedEarly(life *leaseLife, e *leaseEnd) {
	shown, ok := l.tl.shown(e.rev)
	if !ok || l.excused(life, shown) {
		return
	}
	l.ended++
	p, until := l.promise(life, func(p *callOp) bool { return l.tl.precedes(p.invoke, shown) }, func(p *callOp) bool { return l.tl.within(p.term, e.rev) })
	if p == nil || !l.tl.precedes(shown, until) {
		return
	}
	l.f.add(rankLost, e.rev, func() Evidence {
		told, keys := l.keysOf(life, e.rev-1)
		x := l.t.aboutCall(fmt.Sprintf("revision %d deletes %s, all that was attached to lease %x, and was known at %s; but %s gave it %d s from %s on at least, and nobody revoked it",
			e.rev, told, uint64(life.id), l.t.at(shown), l.t.call(p), p.TTL, l.t.at(p.invoke)), p, life.grants[0])
		x.Revision, x.Keys = e.rev, keys
		return x
	})
}

// missed judges an answer that there is no such lease.
func (l *leaseCheck) missed(life *leaseLife, c *callOp) {
	if l.excused(life, c.ret) {
		return
	}
	l.gone++
	p, until := l.promise(life, func(p *callOp) bool { return l.tl.precedes(p.ret, c.invoke) }, func(p *callOp) bool { return p.term == c.term })
	if p == nil || !l.tl.precedes(c.ret, until) {
		return
	}
	l.f.add(rankLost, c.rev, func() Evidence {
		return l.t.aboutCall(fmt.Sprintf("%s says that there is no lease %x; but %s gave it %d s from %s on at least, and nobody revoked it",
			l.t.call(c), uint64(life.id), l.t.call(p), p.TTL, l.t.at(p.invoke)), c, p, life.grants[0])
	})
}

// refused judges a write that was refused because there was no such lease.
func (l *leaseCheck) refused(life *leaseLife, o *op) {
	if l.excused(life, o.ret) || l.ambiguous(o) {
		return
	}
	l.gone++
	p, until := l.promise(life, func(p *callOp) bool { return l.tl.precedes(p.ret, o.invoke) }, func(*callOp) bool { return false })
	if p == nil || !l.tl.precedes(o.ret, until) {
		return
	}
	l.f.add(rankLost, 0, func() Evidence {
		e := l.t.evidence(o, fmt.Sprintf("%s had no lease %x to attach to, it says; but %s gave it %d s from %s on at least, and nobody revoked it",
			l.t.describe(o), uint64(life.id), l.t.call(p), p.TTL, l.t.at(p.invoke)))
		e.Operations, e.Story = []uint64{p.id, uint64(o.id)}, []string{l.t.callLine(p), l.t.line(o)}
		return e
	})
}

// ambiguous says that a write would attach keys to several leases: any of them
// may have been missing.
func (l *leaseCheck) ambiguous(o *op) bool {
	var lease int64
	several := false
	l.r.h.each(o, func(q *request) {
		if q.verb == history.Put && q.lease != 0 {
			several = several || lease != 0 && lease != q.lease
			lease = q.lease
		}
	})
	return several
}

// excused says that a lease may have been revoked before a time, whatever the
// revocation's outcome was, or that the history lacks what may have.
func (l *leaseCheck) excused(life *leaseLife, at int64) bool {
	if l.r.h.truncated && at+lastMoments > l.tl.last {
		return true
	}
	return slices.ContainsFunc(life.revokes, func(c *callOp) bool { return !c.denied && !l.tl.precedes(at, c.invoke) })
}

// drift is how much faster a member's clock may go than a client's, for a TTL in
// seconds: far more where the run bends clocks.
func (s leaseSlack) drift(ttl int64) int64 { return ttl*second/100*(1+s.skew) + second/20 }

// promise is the acknowledged grant or keep-alive that lets a lease live longest,
// of those that a condition is true of, and until when it must. A grant is in
// raft's log, so every later leader starts its time anew; a keep-alive is told to
// one leader alone, which may have been none any more.
func (l *leaseCheck) promise(life *leaseLife, before, sameLeader func(*callOp) bool) (best *callOp, until int64) {
	for _, c := range slices.Concat(life.grants, life.renewals) {
		if !c.ok() || c.TTL <= 0 || !before(c) {
			continue
		}
		end := c.invoke + c.TTL*second - l.slack.drift(c.TTL)
		if c.kind == history.KindLeaseKeepAlive && !sameLeader(c) {
			if l.quiet.touched(c.invoke-staleFor, c.ret) {
				continue
			}
			end -= l.slack.stale()
		}
		if best == nil || end > until {
			best, until = c, end
		}
	}
	return best, until
}
