package verify

import (
	"fmt"
	"math"
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
)

// told judges what etcd answered about a lease that is there.
func (l *leaseCheck) told(life *leaseLife) {
	for _, c := range life.renewals {
		if c.ok() && c.TTL > 0 {
			l.answers++
			l.granted(life, c, c.TTL)
		}
	}
	for _, c := range life.asked {
		if !there(c) {
			continue
		}
		l.answers++
		l.granted(life, c, c.Granted)
		// A new leader adds an election time-out, and spreads the ends of
		// thousands of leases that it begins with.
		most := c.Granted + (l.slack.election+second-1)/second + 1 + int64(len(l.ids))/expiryRate
		if c.TTL > most {
			l.f.add(rankRead, c.rev, func() Evidence {
				return l.t.aboutCall(fmt.Sprintf("%s says that lease %x has %d s left of %d", l.t.call(c), uint64(life.id), c.TTL, c.Granted), c, life.grants...)
			})
		}
		l.listed(life, c)
	}
}

// granted holds the TTL in an answer against the one granted. Members may be set
// to raise short ones differently.
func (l *leaseCheck) granted(life *leaseLife, c *callOp, ttl int64) {
	if life.ttl == 0 || ttl == life.ttl || max(ttl, life.ttl) <= l.slack.minTTL {
		return
	}
	l.f.add(rankRead, c.rev, func() Evidence {
		return l.t.aboutCall(fmt.Sprintf("%s says that lease %x was granted for %d s, but it was for %d s", l.t.call(c), uint64(life.id), ttl, life.ttl), c, life.grants...)
	})
}

// listed holds the keys in an answer against those attached while it was given.
// etcd attaches and detaches keys while a write is under way, so that the list
// may show part of the revision that comes next. An answer without keys may be to
// a question that did not ask for them.
func (l *leaseCheck) listed(life *leaseLife, c *callOp) {
	if len(c.List) == 0 || !l.fresh(c) {
		return
	}
	low, high := l.tl.before(c.invoke), l.tl.after(c.ret)
	if high < math.MaxInt64 {
		high++
	}
	head := l.r.ref.revision()
	high = min(high, head)
	if low < l.r.compacted && !l.r.chron.told || high < low || !l.r.chron.known(low+1, high) {
		return
	}
	wrong := func(key, how string) {
		l.f.add(rankRead, low, func() Evidence {
			e := l.t.aboutCall(fmt.Sprintf("%s lists %d keys, %s %s, which %s at every revision from %d to %d, in which it was answered",
				l.t.call(c), len(c.List), map[bool]string{true: "and not", false: "among them"}[how == "was attached to it"], l.t.short(key), how, low, high), c, life.grants...)
			e.Keys = []string{key}
			return e
		})
	}
	for _, key := range c.List {
		id, known := l.t.keys.ids[key]
		if !known || !slices.ContainsFunc(life.attached, func(a tenure) bool { return a.key == id && a.from <= high && a.to > low }) {
			wrong(key, "was not attached to it")
		}
	}
	for _, a := range life.attached {
		if a.from > low || a.to <= high {
			continue
		}
		if key := l.t.keys.names[a.key]; !slices.Contains(c.List, key) {
			wrong(key, "was attached to it")
		}
	}
}

// disks holds the leases on members' disks against the history.
func (l *leaseCheck) disks() {
	for _, m := range l.r.c.members {
		if !m.readable() {
			continue
		}
		shared := &m.store.Report.Shared
		if shared.LeaseCount > len(shared.Leases) {
			continue
		}
		has := make(map[int64]int64, len(shared.Leases))
		for _, x := range shared.Leases {
			has[x.ID] = x.TTL
			if l.lives[x.ID] == nil {
				l.ungranted(m, x.ID)
			}
		}
		for _, id := range l.ids {
			if life := l.lives[id]; len(life.grants) <= 1 {
				ttl, there := has[id]
				l.onDisk(m, life, ttl, there)
			}
		}
	}
}

func (l *leaseCheck) onDisk(m *member, life *leaseLife, ttl int64, there bool) {
	wrong := func(rank int, message string, by ...*callOp) {
		l.f.add(rank, m.revision(), func() Evidence {
			return l.t.callStory(Evidence{Message: message, Member: m.name, Revision: m.revision()}, append(by, life.grants...)...)
		})
	}
	c, e := l.wasRevoked(life), life.end
	switch {
	case there && c != nil && c.rev > 0 && m.revision() > c.rev:
		wrong(rankPhantom, fmt.Sprintf("%s has lease %x on its disk at revision %d, after %s had ended it at revision %d", m.name, uint64(life.id), m.revision(), l.t.call(c), c.rev), c)
	case there && e != nil && e.sure && m.revision() >= e.rev:
		wrong(rankPhantom, fmt.Sprintf("%s has lease %x on its disk at revision %d, though revision %d deleted its keys as its end does", m.name, uint64(life.id), m.revision(), e.rev))
	case there && life.ttl > 0 && ttl != life.ttl && max(ttl, life.ttl) > l.slack.minTTL:
		wrong(rankChanged, fmt.Sprintf("%s has lease %x on its disk with %d s, but it was granted for %d s", m.name, uint64(life.id), ttl, life.ttl))
	case !there:
		l.offDisk(m, life)
	default:
		l.stored++
	}
}

// offDisk finds a lease that cannot be over yet and that a member's disk does not
// have, though it has later revisions.
func (l *leaseCheck) offDisk(m *member, life *leaseLife) {
	if len(life.grants) == 0 || !m.serving() || l.c.final == nil || l.r.h.truncated || slices.ContainsFunc(life.revokes, func(c *callOp) bool { return !c.denied }) {
		return
	}
	g := life.grants[0]
	if !g.ok() || g.rev <= 0 || m.revision() <= g.rev || !l.tl.precedes(l.over()+copyMayTake, g.invoke+g.TTL*second) {
		return
	}
	l.f.add(rankLost, m.revision(), func() Evidence {
		e := l.t.aboutCall(fmt.Sprintf("%s has no lease %x on its disk at revision %d; %s gave it %d s, and nobody revoked it", m.name, uint64(life.id), m.revision(), l.t.call(g), g.TTL), g)
		e.Member, e.Revision = m.name, m.revision()
		return e
	})
}

// over is when the run's end state was told.
func (l *leaseCheck) over() int64 {
	end := max(l.c.final.Time, l.tl.last)
	for i := range l.c.events {
		end = max(end, l.c.events[i].Time)
	}
	return end
}

// ungranted judges a lease that the history does not know. Others may have
// granted it unless the run began with an empty store that nobody else wrote to.
func (l *leaseCheck) ungranted(m *member, id int64) {
	if l.r.base > 1 || l.r.h.truncated || l.others() || slices.ContainsFunc(l.r.h.calls, func(c callOp) bool {
		return c.kind == history.KindLeaseGrant && c.Lease == 0
	}) {
		return
	}
	l.f.add(rankPhantom, m.revision(), func() Evidence {
		return Evidence{Message: fmt.Sprintf("%s has lease %x on its disk, which nobody asked for", m.name, uint64(id)), Member: m.name, Revision: m.revision()}
	})
}
