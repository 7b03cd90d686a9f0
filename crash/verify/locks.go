package verify

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

const checkLocks = "locks"

// lockCheck holds what clients were told of locks and elections against the keys
// by which the concurrency package makes them: the oldest key below a name holds
// it.
type lockCheck struct {
	r       *replay
	t       *teller
	tl      *timeline
	f       findings
	names   map[string]*contest
	order   []*contest
	owners  map[string]*ownerOps // by owner key
	tenures map[int64][]tenure
	swept   bool // a delete of unknown outcome may have met owner keys

	held, released, proclaimed, leaders int // answers judged
	beyond                              int // answers newer than the store of a cluster that did not recover
	below                               int // answers at revisions that nothing tells of
}

// contest is one lock or election.
type contest struct {
	name     string
	election bool
	seats    []seat  // in order of create
	latest   []int64 // of the seats up to each, the latest end
	leaders  []*callOp
}

// seat is the life of an owner key: it holds the name from when no older one is
// left. to is the revision of its delete, MaxInt64 while it is there.
type seat struct {
	key        uint32
	lease      int64
	create, to int64
	deleted    bool
}

// ownerOps are the operations on one owner key.
type ownerOps struct {
	wants    []*callOp // locks and campaigns
	releases []*callOp
	says     []*callOp // proclamations
}

func isLock(k history.Kind) bool { return k >= history.KindLock && k <= history.KindLeader }

// judgeLocks says whether locks and elections have one holder at a time, by
// revision. r is nil when no store could be replayed.
func (c *evidence) judgeLocks(r *replay) Check {
	if !slices.ContainsFunc(c.ops.calls, func(o callOp) bool { return isLock(o.kind) }) {
		return Check{}
	}
	if r == nil {
		return Check{Name: checkLocks, Verdict: Inconclusive, Detail: "no store can be read: who held the locks is not known"}
	}
	l := &lockCheck{
		r: r, t: r.t, tl: r.timeline(), names: make(map[string]*contest), owners: make(map[string]*ownerOps), tenures: r.tenures(),
		swept: r.sweeps(),
	}
	l.collect()
	l.seats()
	for _, n := range l.order {
		l.owned(n)
		l.answers(n)
	}
	for i := range r.h.calls {
		if c := &r.h.calls[i]; c.ok() && isLock(c.kind) {
			l.judge(c)
		}
	}
	return l.settle()
}

func (l *lockCheck) settle() Check {
	d := l.r.unknown()
	if l.r.h.truncated {
		d = append(d, "the history ends early: operations are missing from it")
	}
	if l.held+l.leaders == 0 {
		d = append(d, "no lock and no campaign was acknowledged, nor was it answered who leads: there is nothing to judge")
	}
	d.when(l.beyond, "%d answers are newer than the store that could be read")
	d.when(l.below, "%d answers are at revisions of which neither the store nor a recorder tells")
	return settle(checkLocks, &l.f, d, fmt.Sprintf("%d findings against %d locks and elections", l.f.total, len(l.order)),
		fmt.Sprintf("%d locks and elections had one holder at a time: %d times held, %d released, %d proclamations, and %d answers who leads",
			len(l.order), l.held, l.released, l.proclaimed, l.leaders))
}

// owner is the key that a session holds a lock or election by.
func owner(c *callOp) string {
	if c.kind != history.KindLeader && c.Key != "" {
		return c.Key
	}
	return fmt.Sprintf("%s/%x", c.Name, c.Lease)
}

func (l *lockCheck) contest(name string) *contest {
	n := l.names[name]
	if n == nil {
		n = &contest{name: name, election: strings.HasPrefix(name, l.t.run.Prefix+history.ElectionPrefix)}
		l.names[name] = n
		l.order = append(l.order, n)
	}
	return n
}

func (l *lockCheck) collect() {
	for i := range l.r.h.calls {
		c := &l.r.h.calls[i]
		if !isLock(c.kind) {
			continue
		}
		n := l.contest(c.Name)
		if c.kind == history.KindLeader {
			if c.ok() {
				n.leaders = append(n.leaders, c)
			}
			continue
		}
		key := owner(c)
		if l.owners[key] == nil {
			l.owners[key] = &ownerOps{}
		}
		o := l.owners[key]
		switch c.kind {
		case history.KindLock, history.KindCampaign:
			n.election = n.election || c.kind == history.KindCampaign
			o.wants = append(o.wants, c)
		case history.KindUnlock, history.KindResign:
			o.releases = append(o.releases, c)
		default:
			o.says = append(o.says, c)
		}
	}
}

// seats follows the owner keys through the chronicle. A key that a missing
// revision may have ended counts as ended by it.
func (l *lockCheck) seats() {
	type place struct {
		n  *contest
		at int
	}
	open := make(map[uint32]place)
	session := make(map[uint32]bool)
	for i := range l.r.chron.recs {
		g := &l.r.chron.recs[i]
		ours, asked := session[g.Key]
		if !asked {
			ours = !g.Is(datadir.Foreign) && l.r.sessions([]datadir.Revision{*g})
			session[g.Key] = ours
		}
		if !ours {
			continue
		}
		key := l.t.keys.names[g.Key]
		p, live := open[g.Key]
		if live && l.unseen(g) {
			live = false // it may have been deleted and made again since
		}
		switch {
		case g.Is(datadir.Tombstone):
			if live {
				p.n.seats[p.at].to, p.n.seats[p.at].deleted = g.Main, true
			}
			delete(open, g.Key)
		case live:
			l.again(&p.n.seats[p.at], g)
		default:
			n := l.contest(key[:max(0, strings.LastIndexByte(key, '/'))])
			l.made(n, g)
			open[g.Key] = place{n, len(n.seats)}
			n.seats = append(n.seats, seat{g.Key, g.Lease, g.Create, math.MaxInt64, false})
		}
	}
	for _, n := range l.order {
		for i := range n.seats {
			a := tenure{from: n.seats[i].create, to: n.seats[i].to, deleted: n.seats[i].deleted}
			a.blur(l.r.chron.gaps)
			n.seats[i].to, n.seats[i].deleted = a.to, a.deleted
		}
		slices.SortStableFunc(n.seats, func(a, b seat) int { return cmp.Compare(a.create, b.create) })
		top := int64(0)
		for i := range n.seats {
			top = max(top, n.seats[i].to)
			n.latest = append(n.latest, top)
		}
	}
	slices.SortFunc(l.order, func(a, b *contest) int { return strings.Compare(a.name, b.name) })
}

// unseen says whether revisions before a record of a key, and after the record
// before it, are not known.
func (l *lockCheck) unseen(g *datadir.Revision) bool {
	if len(l.r.chron.gaps) == 0 {
		return false
	}
	before, ok := l.r.chron.last(g.Key, g.Main-1)
	return ok && slices.ContainsFunc(l.r.chron.gaps, func(x span) bool { return x.to > before.Main && x.from < g.Main })
}

// seat finds the one of a key that began at a revision.
func (n *contest) seat(key uint32, create int64) *seat {
	i, _ := slices.BinarySearchFunc(n.seats, create, func(s seat, c int64) int { return cmp.Compare(s.create, c) })
	for ; i < len(n.seats) && n.seats[i].create == create; i++ {
		if n.seats[i].key == key {
			return &n.seats[i]
		}
	}
	return nil
}

// older finds the first that began before a revision and was there after another.
func (n *contest) older(create, at int64) *seat {
	i, _ := slices.BinarySearchFunc(n.seats, create, func(s seat, c int64) int { return cmp.Compare(s.create, c) })
	// The first that raised the latest end beyond at is the first that was there.
	j, _ := slices.BinarySearch(n.latest[:i], at+1)
	if j == i {
		return nil
	}
	return &n.seats[j]
}

// at is the holder at a revision; nil: nobody.
func (n *contest) at(rev int64) *seat {
	return n.older(rev+1, rev)
}

// reach says whether the chronicle tells of an answer's revision.
func (l *lockCheck) reach(rev int64) bool {
	switch {
	case rev > l.r.ref.revision():
		l.beyond++
	case rev < l.r.compacted && !l.r.chron.told, slices.ContainsFunc(l.r.chron.gaps, func(g span) bool { return g.from <= rev && g.to >= rev }):
		l.below++
	default:
		return true
	}
	return false
}
