package verify

import (
	"fmt"
	"math"
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// late finds a lease that was there longer than the bound after its last
// possible renewal, while nothing disturbed the cluster.
func (l *leaseCheck) late(life *leaseLife) {
	if life.ttl == 0 || len(life.grants) == 0 {
		return
	}
	grace, patience := l.slack.grace(life.ttl), l.slack.patience(l.pending())
	found := false
	for _, proof := range l.proofs(life) {
		from, last := l.renewed(life, proof)
		if last == nil {
			continue
		}
		over := l.quiet.overdue(from, proof.at-l.tl.slop, grace)
		if over <= patience {
			continue
		}
		found = true
		l.f.add(rankOrder, proof.rev, func() Evidence {
			e := l.t.aboutCall(fmt.Sprintf("lease %x of %d s was last renewed by %s and then overdue for %.1f s in which nothing disturbed the cluster, but %s; it had to be gone after %.1f s",
				uint64(life.id), life.ttl, l.t.call(last), seconds(over), proof.what, seconds(patience)), last, proof.by...)
			e.Revision, e.Time, e.Keys = proof.rev, proof.at, proof.keys
			return e
		})
		break
	}
	if found {
		return
	}
	if l.wasRevoked(life) != nil {
		return
	}
	from, last := l.renewed(life, leaseProof{at: math.MaxInt64})
	if last == nil {
		return
	}
	over := l.quiet.overdue(from, l.tl.last, grace)
	if over > patience {
		l.expired++
		return
	}
	l.waited, l.lacked = max(l.waited, over), patience
}

// pending is how many leases may be over at the same time: those that nobody
// revoked.
func (l *leaseCheck) pending() (n int) {
	if l.many > 0 {
		return l.many - 1
	}
	for _, life := range l.lives {
		if l.wasRevoked(life) == nil {
			n++
		}
	}
	l.many = n + 1
	return n
}

// leaseProof shows that a lease was there at a time.
type leaseProof struct {
	at   int64 // not before
	rev  int64
	what string
	by   []*callOp
	keys []string
	self *callOp // a renewal that is the proof does not excuse itself
}

// proofs are in order of strength: its keys, members' disks, answers.
func (l *leaseCheck) proofs(life *leaseLife) (list []leaseProof) {
	head := l.r.ref.revision()
	top := int64(0)
	for _, a := range life.attached {
		top = max(top, min(a.to-1, head))
	}
	if at := l.tl.until(top); top > 0 && at > math.MinInt64 {
		told, keys := l.keysOf(life, top)
		list = append(list, leaseProof{at: at, rev: top, keys: keys,
			what: fmt.Sprintf("at revision %d, which was not over at %s, it still had %s attached", top, l.t.at(at), told)})
	}
	if m := l.r.ref; l.r.c.recovered && slices.ContainsFunc(m.store.Report.Shared.Leases, func(x datadir.Lease) bool { return x.ID == life.id }) {
		if at := l.tl.until(head - 1); at > math.MinInt64 {
			list = append(list, leaseProof{at: at, rev: head,
				what: fmt.Sprintf("%s still has it on its disk at revision %d, which had not begun at %s", m.name, head, l.t.at(at))})
		}
	}
	for _, c := range slices.Concat(life.renewals, life.asked) {
		if c.ok() && c.TTL > 0 {
			list = append(list, leaseProof{at: c.invoke, rev: c.rev, by: []*callOp{c}, self: c,
				what: fmt.Sprintf("%s says that it has %d s left", l.t.call(c), c.TTL)})
		}
	}
	return list
}

// renewed is until when a lease may have been renewed for the last time before a
// proof, and by what.
func (l *leaseCheck) renewed(life *leaseLife, p leaseProof) (at int64, last *callOp) {
	at = math.MinInt64
	for _, c := range slices.Concat(life.grants, life.renewals) {
		if c == p.self || c.outcome == history.Failed || missing(c) || l.tl.precedes(p.at, c.invoke) {
			continue
		}
		end := c.ret
		if !c.ok() {
			end += renewalMayTake
		}
		if end > at {
			at, last = end, c
		}
	}
	return at + l.tl.slop, last
}

// wasRevoked is the first acknowledged revocation; nil: none.
func (l *leaseCheck) wasRevoked(life *leaseLife) (first *callOp) {
	for _, c := range life.revokes {
		if c.ok() && (first == nil || c.ret < first.ret) {
			first = c
		}
	}
	return first
}
