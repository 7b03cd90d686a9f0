package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// owned judges the keys of one lock or election: each was made by somebody who
// wanted it, and went because somebody let go or because its lease ended.
func (l *lockCheck) owned(n *contest) {
	seen := make(map[uint32]int)
	last := make(map[uint32]int64) // a gap makes two seats of one
	for i := range n.seats {
		s := &n.seats[i]
		if last[s.key] == s.create {
			continue
		}
		last[s.key] = s.create
		g := l.record(s.key, s.create)
		if g == nil {
			continue // below what is known
		}
		if l.r.chron.writer(s.create) < 0 && !g.Is(datadir.Named) {
			seen[s.key]++
			l.maker(n, s, g, seen[s.key])
		}
		if s.deleted && !l.letGo(s) {
			if d := l.record(s.key, s.to); d != nil {
				l.nobody(d, "which nobody let go of, and it is not the end of its lease, which would have taken all its keys and nothing else")
			}
		}
	}
}

// record is a key's record at one revision.
func (l *lockCheck) record(key uint32, rev int64) *datadir.Revision {
	group := l.r.chron.group(rev)
	if i := slices.IndexFunc(group, func(g datadir.Revision) bool { return g.Key == key }); i >= 0 {
		return &group[i]
	}
	return nil
}

// maker judges who made a key for the nth time.
func (l *lockCheck) maker(n *contest, s *seat, g *datadir.Revision, nth int) {
	name := l.t.keys.names[s.key]
	if want := fmt.Sprintf("%x", uint64(s.lease)); s.lease == 0 || !strings.HasSuffix(name, "/"+want) {
		l.nobody(g, fmt.Sprintf("which is attached to lease %s and not to the one that its name says", want))
		return
	}
	var wants []*callOp
	if o := l.owners[name]; o != nil {
		wants = o.wants
	}
	switch shown, _ := l.tl.shown(s.create); {
	case len(wants) == 0:
		l.nobody(g, "which nobody asked for: the run has no lock or campaign with that lease")
	case !slices.ContainsFunc(wants, func(c *callOp) bool { return !l.tl.precedes(shown, c.invoke) }):
		l.f.add(rankPhantom, s.create, func() Evidence {
			return l.t.aboutCall(fmt.Sprintf("revision %d holds %s, and was known at %s, before %s", s.create, l.t.key(s.key), l.t.at(shown), l.t.call(wants[0])), wants[0])
		})
	case nth > len(wants):
		l.f.add(rankTwice, s.create, func() Evidence {
			return l.t.aboutCall(fmt.Sprintf("revision %d makes %s again, though it was made %d times before and %d operations asked for it", s.create, l.t.key(s.key), nth-1, len(wants)), wants[0])
		})
	case !slices.ContainsFunc(wants, func(c *callOp) bool { return l.says(c, g) }):
		l.nobody(g, "with a value that is not that of "+l.t.call(wants[0]))
	}
}

// says whether an operation would make a key with the value it has: a lock's is
// empty, a leader's is what it campaigned with.
func (l *lockCheck) says(c *callOp, g *datadir.Revision) bool {
	value := c.Value
	if c.kind == history.KindLock {
		value = ""
	}
	return datadir.Hash(value) == g.Value
}

// letGo says whether anything explains that a key was deleted.
func (l *lockCheck) letGo(s *seat) bool {
	if l.r.chron.writer(s.to) >= 0 || l.swept {
		return true
	}
	shown, _ := l.tl.shown(s.to)
	if o := l.owners[l.t.keys.names[s.key]]; o != nil {
		if slices.ContainsFunc(o.releases, func(c *callOp) bool { return c.outcome != history.Failed && !l.tl.precedes(shown, c.invoke) }) {
			return true
		}
		// Whoever gives up waiting deletes its own key.
		if slices.ContainsFunc(o.wants, func(c *callOp) bool { return !c.ok() && !l.tl.precedes(shown, c.invoke) }) {
			return true
		}
	}
	if gaps := l.r.chron.gaps; len(gaps) > 0 && gaps[0].from < s.to {
		return true // what is missing may have attached more keys to its lease
	}
	attached, died := l.tenures[s.lease], 0
	for _, a := range attached {
		switch {
		case a.to == s.to && a.deleted:
			died++
		case a.from < s.to && a.to > s.to:
			return false // another key of its lease stayed
		}
	}
	return died == len(l.r.chron.group(s.to))
}
