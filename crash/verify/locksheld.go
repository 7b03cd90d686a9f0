package verify

import (
	"fmt"
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// judge holds an acknowledgement against the keys.
func (l *lockCheck) judge(c *callOp) {
	if known := l.tl.before(c.invoke); c.rev > 0 && c.rev < known {
		l.f.add(rankOrder, c.rev, func() Evidence {
			return l.t.aboutCall(fmt.Sprintf("%s is at revision %d, though revision %d was known before it was invoked at %s", l.t.call(c), c.rev, known, l.t.at(c.invoke)), c)
		})
		return
	}
	n := l.names[c.Name]
	key, known := l.t.keys.ids[owner(c)]
	switch c.kind {
	case history.KindLock, history.KindCampaign:
		if l.reaches(c, c.Revision) {
			l.hold(n, c, key, known)
		}
	case history.KindUnlock, history.KindResign:
		if known && c.rev > 0 && l.reach(c.rev) {
			l.release(n, c, key)
		}
	case history.KindProclaim:
		if c.rev > 0 && l.reaches(c, c.rev) {
			l.proclaim(c, key, known)
		}
	}
}

// reaches says whether the chronicle can tell of what an operation wrote. A
// revision that a recovered cluster does not have is lost.
func (l *lockCheck) reaches(c *callOp, rev int64) bool {
	if rev <= 0 {
		return false
	}
	if rev > l.r.ref.revision() && l.r.c.recovered {
		l.f.add(rankLost, rev, func() Evidence {
			return l.t.aboutCall(fmt.Sprintf("%s wrote revision %d, but after recovery the newest revision is %d%s", l.t.call(c), rev, l.r.ref.revision(), l.t.nextFault(c.invoke)), c)
		})
		return false
	}
	return l.reach(rev)
}

// hold judges that somebody was told to hold a lock: its key must be there from
// the fencing token on, and at the revision of the answer none may be older.
func (l *lockCheck) hold(n *contest, c *callOp, key uint32, known bool) {
	var s *seat
	if known {
		s = n.seat(key, c.Revision)
	}
	if s == nil {
		if !l.r.chron.known(c.Revision, c.Revision) {
			l.below++ // what compaction took, or a key that was deleted since
			return
		}
		l.f.add(rankLost, c.Revision, func() Evidence {
			e := l.t.aboutCall(fmt.Sprintf("%s has the fencing token %d, but revision %d %s", l.t.call(c), c.Revision, c.Revision, l.holds(c.Revision)), c)
			e.Keys = []string{owner(c)}
			return e
		})
		return
	}
	at := c.rev
	if at <= 0 {
		at = l.tl.after(c.ret)
	}
	if at > l.r.ref.revision() {
		l.beyond++
		return
	}
	l.held++
	if c.kind == history.KindLock && s.deleted && s.to <= c.rev {
		l.f.add(rankOrder, c.rev, func() Evidence {
			return l.t.aboutCall(fmt.Sprintf("%s saw its key at revision %d, but revision %d had deleted it", l.t.call(c), c.rev, s.to), c)
		})
	}
	other := n.older(s.create, at)
	if other == nil {
		return
	}
	l.f.add(rankTwice, c.Revision, func() Evidence {
		who, with := l.holder(other)
		e := l.t.aboutCall(fmt.Sprintf("%s has two holders at revision %d: %s with fencing token %d, and %s with fencing token %d, whose key is there %s",
			l.t.short(n.name), at, l.t.call(c), c.Revision, who, other.create, until(other)), c, with...)
		e.Keys = []string{owner(c), l.t.keys.names[other.key]}
		return e
	})
}

func until(s *seat) string {
	if s.deleted {
		return fmt.Sprintf("until revision %d", s.to)
	}
	return "to the end"
}

// holder tells who a key belongs to: whoever was told to hold it, or else wanted to.
func (l *lockCheck) holder(s *seat) (string, []*callOp) {
	var best *callOp
	if o := l.owners[l.t.keys.names[s.key]]; o != nil {
		for _, c := range o.wants {
			if best == nil || c.ok() && c.Revision == s.create {
				best = c
			}
		}
	}
	if best == nil {
		return "the key " + l.t.key(s.key), nil
	}
	return l.t.call(best), []*callOp{best}
}

// release judges that somebody was told to have let go.
func (l *lockCheck) release(n *contest, c *callOp, key uint32) {
	for i := range n.seats {
		s := &n.seats[i]
		if s.key != key || s.create > c.rev {
			continue
		}
		if c.kind == history.KindResign && s.create != c.Revision {
			continue // it lets go of the one it has won alone
		}
		l.released++
		if s.to <= c.rev {
			continue
		}
		l.f.add(rankLost, c.rev, func() Evidence {
			_, with := l.holder(s)
			e := l.t.aboutCall(fmt.Sprintf("%s is at revision %d, but its key is there %s", l.t.call(c), c.rev, until(s)), c, with...)
			e.Keys = []string{l.t.keys.names[key]}
			return e
		})
	}
}

// proclaim judges that a leader's value was changed.
func (l *lockCheck) proclaim(c *callOp, key uint32, known bool) {
	if !l.r.chron.known(c.rev, c.rev) {
		l.below++
		return
	}
	l.proclaimed++
	group := l.r.chron.group(c.rev)
	if known && len(group) == 1 && group[0].Key == key && !group[0].Is(datadir.Tombstone) && group[0].Value == datadir.Hash(c.Value) &&
		(c.Revision == 0 || group[0].Create == c.Revision) {
		return
	}
	l.f.add(rankLost, c.rev, func() Evidence {
		e := l.t.aboutCall(fmt.Sprintf("%s is at revision %d, which %s", l.t.call(c), c.rev, l.holds(c.rev)), c)
		e.Keys = []string{owner(c)}
		return e
	})
}

// holds tells what is at a revision.
func (l *lockCheck) holds(rev int64) string {
	if group := l.r.chron.group(rev); len(group) > 0 {
		return "holds " + l.t.records(l.r.ref, group)
	}
	return "is not in the store"
}

// answers judges who was said to lead.
func (l *lockCheck) answers(n *contest) {
	for _, c := range n.leaders {
		if c.rev <= 0 || c.rev < l.tl.before(c.invoke) || !l.reach(c.rev) || len(l.r.chron.gaps) > 0 && l.r.chron.gaps[0].from <= c.rev {
			continue
		}
		l.leaders++
		s := n.at(c.rev)
		if s == nil && c.Key == "" {
			continue
		}
		why := ""
		switch {
		case s == nil:
			why = "nobody did"
		case c.Key == "":
			why = fmt.Sprintf("%s did, since revision %d", l.t.key(s.key), s.create)
		case l.t.keys.names[s.key] != c.Key:
			why = fmt.Sprintf("%s did, the oldest key, of revision %d", l.t.key(s.key), s.create)
		case c.Revision != 0 && c.Revision != s.create:
			why = fmt.Sprintf("its key is of revision %d, not %d", s.create, c.Revision)
		default:
			if g, ok := l.r.chron.last(s.key, c.rev); ok && c.Value != "" && g.Value != datadir.Hash(c.Value) {
				why = fmt.Sprintf("what it had said by then, at revision %d, is something else than %q", g.Main, c.Value)
			}
		}
		if why == "" {
			continue
		}
		l.f.add(rankRead, c.rev, func() Evidence {
			says := "nobody"
			if c.Key != "" {
				says = l.t.short(c.Key)
			}
			var with []*callOp
			if s != nil {
				_, with = l.holder(s)
			}
			e := l.t.aboutCall(fmt.Sprintf("%s says at revision %d that %s leads, but %s", l.t.call(c), c.rev, says, why), c, with...)
			return e
		})
	}
}

// made judges a revision that made an owner key.
func (l *lockCheck) made(n *contest, g *datadir.Revision) {
	if g.Main <= l.r.compacted && !l.r.chron.told {
		return // it may have been put again since
	}
	if gaps := l.r.chron.gaps; len(gaps) > 0 && gaps[0].from < g.Main {
		return // what is missing may have made it
	}
	if g.Create != g.Main || g.Version != 1 {
		l.numbers(g, g.Main, 1)
	}
}

// again judges a revision that puts a key anew: only a leader does, to proclaim.
func (l *lockCheck) again(s *seat, g *datadir.Revision) {
	before, ok := l.r.chron.last(g.Key, g.Main-1)
	if ok && (g.Create != s.create || g.Version != before.Version+1) {
		l.numbers(g, s.create, before.Version+1)
	}
	if l.r.chron.writer(g.Main) >= 0 || g.Is(datadir.Named) {
		return // told by the checks of the KV service
	}
	o := l.owners[l.t.keys.names[g.Key]]
	if o != nil && slices.ContainsFunc(slices.Concat(o.says, o.wants), func(c *callOp) bool {
		return c.kind != history.KindLock && datadir.Hash(c.Value) == g.Value
	}) {
		return
	}
	l.nobody(g, "which nobody proclaimed")
}

func (l *lockCheck) numbers(g *datadir.Revision, create, version int64) {
	l.f.add(rankRead, g.Main, func() Evidence {
		return Evidence{
			Message: fmt.Sprintf("revision %d holds %s with create revision %d and version %d, where the revisions before make it %d and %d", g.Main, l.t.key(g.Key), g.Create, g.Version, create, version),
			Member:  l.r.ref.name, Revision: g.Main, Keys: []string{l.t.keys.names[g.Key]},
		}
	})
}

func (l *lockCheck) nobody(g *datadir.Revision, why string) {
	if l.r.h.truncated {
		return // the operation may be among those that are missing
	}
	what := "a put"
	if g.Is(datadir.Tombstone) {
		what = "a delete"
	}
	l.f.add(rankPhantom, g.Main, func() Evidence {
		return Evidence{
			Message: fmt.Sprintf("revision %d holds %s of %s, %s", g.Main, what, l.t.key(g.Key), why),
			Member:  l.r.ref.name, Revision: g.Main, Keys: []string{l.t.keys.names[g.Key]},
		}
	})
}
