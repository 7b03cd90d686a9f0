package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

const checkLeases = "leases"

// leaseCheck holds what clients were told of leases against the keys that were
// attached to them.
type leaseCheck struct {
	c     *evidence
	r     *replay
	t     *teller
	tl    *timeline
	quiet *quiet
	slack leaseSlack
	f     findings
	lives map[int64]*leaseLife
	ids   []int64 // in order
	many  int     // leases that nobody revoked, and one more; 0: not counted yet

	// What was judged.
	revoked int   // acknowledged revocations
	ended   int   // ends that came no sooner than promised
	gone    int   // answers that a lease is not there, which may be
	expired int   // leases that were not renewed, for longer than the bound
	answers int   // answers about a lease that is there
	stored  int   // leases on disks that may be there
	again   int   // leases granted more than once, which are not judged
	waited  int64 // ns: the longest that a lease whose end is not judged was overdue
	lacked  int64 // ns: what would have been needed
}

// leaseLife is what is known of one lease.
type leaseLife struct {
	id       int64
	grants   []*callOp // all in order of invoke
	renewals []*callOp
	revokes  []*callOp
	asked    []*callOp // time to live
	refused  []int32   // writes that were refused for want of it
	attached []tenure  // in order of from
	end      *leaseEnd // nil: all its keys never went at once
	ttl      int64     // seconds, as granted; 0: never answered
}

// isLease says whether an operation is about one lease.
func isLease(k history.Kind) bool {
	return k >= history.KindLeaseGrant && k <= history.KindLeaseTTL
}

// judgeLeases says whether leases and their keys live as long as they must and no
// longer. r is nil when no store could be replayed.
func (c *evidence) judgeLeases(r *replay) Check {
	if !slices.ContainsFunc(c.ops.calls, func(o callOp) bool { return isLease(o.kind) }) {
		return Check{}
	}
	if r == nil {
		return Check{Name: checkLeases, Verdict: Inconclusive, Detail: "no store can be read: what became of the keys attached to leases is not known"}
	}
	l := &leaseCheck{c: c, r: r, t: r.t, tl: r.timeline(), slack: newLeaseSlack(c.run), lives: make(map[int64]*leaseLife)}
	l.quiet = c.newQuiet(l.tl)
	l.collect()
	for _, id := range l.ids {
		life := l.lives[id]
		if len(life.grants) > 1 {
			l.again++
			continue
		}
		l.survives(life)
		l.early(life)
		l.late(life)
		l.told(life)
	}
	l.disks()
	return l.settle()
}

func (l *leaseCheck) settle() Check {
	d := l.r.unknown()
	if l.r.h.truncated {
		d = append(d, "the history ends early: operations are missing from it")
	}
	if l.revoked+l.ended+l.expired+l.gone+l.answers+l.stored+l.f.total == 0 {
		d = append(d, "no lease was revoked, none ended, and nothing was told of one that is there: there is nothing to judge; "+l.tooShort())
	}
	right := fmt.Sprintf("%d leases: %d revocations left nothing behind, %d ends took all keys at once and came no sooner than promised, %d were gone in time after their last renewal, %d answers about them are true, and %d records on members' disks",
		len(l.ids), l.revoked, l.ended, l.expired, l.answers+l.gone, l.stored)
	if l.expired == 0 {
		right += "; that they end in time was not judged: " + l.tooShort()
	}
	return settle(checkLeases, &l.f, d, fmt.Sprintf("%d findings against %d leases", l.f.total, len(l.ids)), right)
}

// tooShort is what was needed to judge that leases end in time.
func (l *leaseCheck) tooShort() string {
	if l.lacked == 0 {
		return "none was left to end by itself"
	}
	return fmt.Sprintf("a lease has to be overdue for %.1f s without a fault, and the longest was for %.1f s", seconds(l.lacked), seconds(l.waited))
}

func seconds(ns int64) float64 { return float64(ns) / float64(second) }

// life is that of a lease, made when it is first heard of.
func (l *leaseCheck) life(id int64) *leaseLife {
	life := l.lives[id]
	if life == nil {
		life = &leaseLife{id: id}
		l.lives[id] = life
		l.ids = append(l.ids, id)
	}
	return life
}

// collect joins what the history and the chronicle tell of each lease.
func (l *leaseCheck) collect() {
	h := l.r.h
	for i := range h.calls {
		c := &h.calls[i]
		if !isLease(c.kind) || c.Lease == 0 {
			continue
		}
		life := l.life(c.Lease)
		switch c.kind {
		case history.KindLeaseGrant:
			if c.outcome != history.Failed {
				life.grants = append(life.grants, c)
			}
			if c.ok() {
				life.ttl = c.TTL
			}
		case history.KindLeaseKeepAlive:
			life.renewals = append(life.renewals, c)
		case history.KindLeaseRevoke:
			life.revokes = append(life.revokes, c)
		case history.KindLeaseTTL:
			life.asked = append(life.asked, c)
		}
	}
	for i := range h.all {
		if o := &h.all[i]; o.is(isFailed | saidNoLease) {
			h.each(o, func(q *request) {
				if life := l.lives[q.lease]; q.verb == history.Put && life != nil {
					life.refused = append(life.refused, int32(i))
				}
			})
		}
	}
	for id, list := range l.r.tenures() {
		l.life(id).attached = list
	}
	slices.Sort(l.ids)
	for _, life := range l.lives {
		for _, list := range [][]*callOp{life.grants, life.renewals, life.revokes, life.asked} {
			slices.SortStableFunc(list, func(a, b *callOp) int { return cmp.Compare(a.invoke, b.invoke) })
		}
	}
	l.ends()
}

// sweeps says whether a delete of unknown outcome may have met keys of sessions.
func (r *replay) sweeps() bool {
	for i := range r.h.all {
		o := &r.h.all[i]
		if o.flags&(isOK|isFailed) != 0 {
			continue
		}
		found := false
		r.h.each(o, func(q *request) {
			key, end := r.t.keys.names[q.key], r.t.keys.names[q.end]
			for _, dir := range [...]string{history.LockPrefix, history.ElectionPrefix} {
				dir = r.t.run.Prefix + dir
				found = found || q.verb == history.Delete && (strings.HasPrefix(key, dir) || key < dir && (end == "\x00" || end > dir))
			}
		})
		if found {
			return true
		}
	}
	return false
}

// missing says that etcd answered that there is no such lease.
func missing(c *callOp) bool {
	switch {
	case c.outcome == history.Failed:
		return strings.Contains(c.err, "lease not found")
	case !c.ok():
		return false
	case c.kind == history.KindLeaseTTL:
		return c.TTL <= 0 && c.Granted == 0
	}
	return c.kind == history.KindLeaseKeepAlive && c.TTL <= 0
}

// there says that etcd answered that there is such a lease.
func there(c *callOp) bool {
	return c.ok() && (c.TTL > 0 || c.kind == history.KindLeaseTTL && c.Granted > 0)
}

// fresh says that who answered knew of the newest term that anyone had been told
// of before: a member that was cut off may go on believing that it leads, and
// answers what leases were (etcd asks no quorum for that).
func (l *leaseCheck) fresh(c *callOp) bool {
	return c.ok() && c.term >= l.tl.term(c.invoke)
}

// keysOf names a lease's keys at a revision, the first few.
func (l *leaseCheck) keysOf(life *leaseLife, rev int64) (told string, keys []string) {
	for _, a := range life.attached {
		if a.from <= rev && a.to > rev {
			keys = append(keys, l.t.keys.names[a.key])
		}
	}
	slices.Sort(keys)
	var parts []string
	for i, k := range keys {
		if i == 3 && len(keys) > 4 {
			parts = append(parts, fmt.Sprintf("%d more", len(keys)-3))
			break
		}
		parts = append(parts, l.t.short(k))
	}
	return strings.Join(parts, ", "), keys
}

// others says whether anyone but the run wrote to the store.
func (l *leaseCheck) others() bool {
	return len(l.r.foreign) > 0 || slices.ContainsFunc(l.r.chron.recs, func(g datadir.Revision) bool { return g.Is(datadir.Foreign) })
}
