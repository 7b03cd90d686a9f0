package verify

import (
	"fmt"
	"slices"
)

// survives finds what is left of a lease after it was revoked, or after all its
// keys went at once as they do at its end.
func (l *leaseCheck) survives(life *leaseLife) {
	if c := l.wasRevoked(life); c != nil && c.rev > 0 {
		l.revoked++
		l.keysAfter(life, c.rev, l.t.call(c), c)
		l.answersAfter(life, c.ret, l.t.call(c), c)
		return
	}
	e := life.end
	if e == nil || !e.sure {
		return
	}
	shown, ok := l.tl.shown(e.rev)
	if l.r.h.truncated && shown > l.tl.last-lastMoments {
		return // a delete that explains it may be missing
	}
	what := fmt.Sprintf("the end of lease %x at revision %d, which deleted all its keys,", uint64(life.id), e.rev)
	l.keysAfter(life, e.rev, what, nil)
	if ok {
		l.answersAfter(life, shown, what, nil)
	}
}

// keysAfter finds keys that are attached to a lease although a revision ended it.
func (l *leaseCheck) keysAfter(life *leaseLife, rev int64, what string, by *callOp) {
	for _, a := range life.attached {
		if a.to <= rev {
			continue
		}
		at := max(a.from, rev)
		l.f.add(rankPhantom, at, func() Evidence {
			e := l.t.callStory(Evidence{Revision: at, Keys: []string{l.t.keys.names[a.key]}}, l.with(life, by)...)
			if by != nil {
				e.Operation, e.Client, e.Member, e.Time = by.id, by.client, l.t.h.members[by.member], by.ret
			}
			e.Message = fmt.Sprintf("%s is followed by %s being attached to it still at revision %d", what, l.t.key(a.key), at)
			if a.from > rev {
				e.Message = fmt.Sprintf("%s is followed by revision %d attaching %s to it", what, at, l.t.key(a.key))
				if n := l.r.chron.writer(a.from); n >= 0 {
					o := &l.r.h.all[n]
					e.Message += ": " + l.t.describe(o)
					e.Operations, e.Story = append(e.Operations, uint64(o.id)), append(e.Story, l.t.line(o))
				}
			}
			return e
		})
	}
}

// answersAfter finds answers that a lease is there to what was asked after it was
// known to have ended.
func (l *leaseCheck) answersAfter(life *leaseLife, known int64, what string, by *callOp) {
	for _, c := range slices.Concat(life.renewals, life.asked) {
		if !there(c) || !l.fresh(c) || !l.tl.precedes(known, c.invoke) {
			continue
		}
		l.f.add(rankPhantom, c.rev, func() Evidence {
			return l.t.aboutCall(fmt.Sprintf("%s was known at %s, but %s still has %d s for it, asked at %s",
				what, l.t.at(known), l.t.call(c), c.TTL, l.t.at(c.invoke)), c, l.with(life, by)...)
		})
	}
}

// with is the grant and, if there is one, the operation that ended a lease.
func (l *leaseCheck) with(life *leaseLife, by *callOp) (list []*callOp) {
	list = append(list, life.grants...)
	if by != nil {
		list = append(list, by)
	}
	return list
}
