package verify

import (
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
)

// ends finds the revision at which all of a lease's keys went. The replay knows
// them but for sessions', whose keys it leaves alone.
func (l *leaseCheck) ends() {
	for i := range l.r.chron.ends {
		e := &l.r.chron.ends[i]
		if life := l.lives[e.lease]; life != nil && life.end == nil {
			life.end = e
		}
	}
	released := make(map[int64][]*callOp) // what may delete a session's key
	for i := range l.r.h.calls {
		c := &l.r.h.calls[i]
		switch c.kind {
		case history.KindUnlock, history.KindResign:
			released[c.Lease] = append(released[c.Lease], c)
		case history.KindLock, history.KindCampaign:
			if !c.ok() { // the client cleans up after itself
				released[c.Lease] = append(released[c.Lease], c)
			}
		}
	}
	swept := l.r.sweeps()
	for _, life := range l.lives {
		rev := life.lastDeath()
		if rev == 0 || life.end != nil && life.end.rev <= rev {
			continue
		}
		group := l.r.chron.group(rev)
		if len(group) == 0 || !l.r.sessions(group) || len(group) != deaths(life.attached, rev) || l.r.chron.writer(rev) >= 0 {
			continue
		}
		shown, _ := l.tl.shown(rev)
		life.end = &leaseEnd{rev, life.id, !swept && !slices.ContainsFunc(released[life.id], func(c *callOp) bool { return !l.tl.precedes(shown, c.invoke) })}
	}
}

// lastDeath is the revision at which the last of its keys were deleted, if none
// is left and no later one was only detached.
func (life *leaseLife) lastDeath() (rev int64) {
	for _, a := range life.attached {
		switch {
		case a.to == 1<<63-1:
			return 0
		case a.to > rev:
			rev = a.to
		}
	}
	for _, a := range life.attached {
		if a.to == rev && !a.deleted {
			return 0
		}
	}
	return rev
}

// deaths counts the keys that a revision deleted.
func deaths(attached []tenure, rev int64) (n int) {
	for _, a := range attached {
		if a.to == rev && a.deleted {
			n++
		}
	}
	return n
}
