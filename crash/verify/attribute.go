package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// attribute finds who wrote a revision that no acknowledgement explains: an
// operation whose outcome the client never learnt, someone else, or nobody.
func (r *replay) attribute(rev int64, group []datadir.Revision, claims []task) {
	if r.sessions(group) {
		return
	}
	var writers []int
	named := false
	for i := range group {
		g := &group[i]
		if !g.Is(datadir.Named) {
			continue
		}
		named = true
		n := r.h.find(g.Op)
		if n < 0 || r.h.all[n].client != g.Client {
			r.neverIssued(rev, g)
			continue
		}
		if !slices.Contains(writers, n) {
			writers = append(writers, n)
		}
	}
	for _, n := range writers {
		r.writer(rev, group, n, claims)
	}
	switch {
	case named:
	case slices.ContainsFunc(group, func(g datadir.Revision) bool { return !g.Is(datadir.Tombstone) && !g.Is(datadir.Foreign) }):
		r.unnamed(group, claims)
	default:
		r.tombstones(rev, group, claims)
	}
}

func (r *replay) neverIssued(rev int64, g *datadir.Revision) {
	if r.h.truncated {
		r.unwritten++
		return
	}
	r.durability.add(rankPhantom, rev, func() Evidence {
		return Evidence{
			Message: fmt.Sprintf("revision %d holds %s = %s, which nobody wrote: the run has no such operation", rev, r.t.key(g.Key), value(g.Client, g.Op, int(g.N))),
			Client:  g.Client, Operation: g.Op, Member: r.ref.name, Revision: rev, Keys: []string{r.t.keys.names[g.Key]},
		}
	})
}

// writer judges a revision that holds values of operation n.
func (r *replay) writer(rev int64, group []datadir.Revision, n int, claims []task) {
	o := &r.h.all[n]
	phantom := func(rank int, why string) {
		r.durability.add(rank, rev, func() Evidence {
			e := r.t.evidence(o, fmt.Sprintf("revision %d holds %s: %s", rev, r.t.records(r.ref, group), why))
			e.Revision = rev
			return r.t.story(e, o)
		})
	}
	switch {
	case o.is(isFailed):
		phantom(rankPhantom, r.t.describe(o)+" was never to be done")
	case o.is(isOK | owns):
		switch {
		case o.rev == rev: // told as lost
		case o.at == rev:
		case o.at > 0 || o.rev > rev && r.holds(r.ref, o):
			phantom(rankTwice, r.t.describe(o)+" is in the store a second time")
		case slices.ContainsFunc(claims, func(t task) bool { return int(t.op) == n }):
		default: // at another revision than acknowledged: lost tells where it is
		}
	case o.is(isOK):
		phantom(rankPhantom, r.t.describe(o)+" was answered as having written nothing")
	case o.at > 0:
		phantom(rankTwice, r.t.describe(o)+" is in the store a second time, after revision "+itoa(o.at))
	default:
		s := r.simulate(o, rev)
		same, meta := s.matches(r, group)
		if !same {
			phantom(rankChanged, r.t.describe(o)+" would have left something else: it is half there, or not its bytes")
			o.at = rev
			return
		}
		o.at = rev
		r.resolved++
		if meta != "" {
			r.order.add(rankRead, rev, func() Evidence { return r.t.evidence(o, r.t.describe(o)+" is in the store, but "+meta) })
		}
	}
}

// unnamed deals with values that do not have the run's format. Where a write
// was acknowledged that is told already; otherwise someone else wrote them.
func (r *replay) unnamed(group []datadir.Revision, claims []task) {
	for i := range group {
		g := &group[i]
		if g.Is(datadir.Foreign) || g.Is(datadir.Named) || g.Is(datadir.Tombstone) {
			continue
		}
		told := slices.ContainsFunc(claims, func(t task) bool { return r.partly(&r.h.all[t.op], group[i:i+1]) })
		if !told {
			r.foreign[g.Key] = true
		}
	}
}

// tombstones deals with a revision of deletes that nobody was acknowledged.
func (r *replay) tombstones(rev int64, group []datadir.Revision, claims []task) {
	if lease := r.leaseOf(group); lease != 0 && len(claims) == 0 {
		others := r.deletes.fits(r, rev, group)
		r.chron.ends = append(r.chron.ends, leaseEnd{rev, lease, len(others) == 0})
		for _, n := range others {
			r.maybe[n] = true
		}
		return
	}
	if r.deletes.explain(r, rev, group) {
		r.resolved++
		return
	}
	if len(claims) > 0 && slices.ContainsFunc(claims, func(t task) bool { return r.overlaps(&r.h.all[t.op], group) }) {
		return // a delete that removed other keys than it said: told as lost
	}
	others := slices.ContainsFunc(group, func(g datadir.Revision) bool { return g.Is(datadir.Foreign) })
	if others {
		for i := range group {
			if !group[i].Is(datadir.Foreign) {
				r.foreign[group[i].Key] = true
			}
		}
		return
	}
	key := group[0].Key
	asked, again := r.asked[key]
	if !again {
		asked.foreign, asked.known = r.foreignDelete(key)
		r.asked[key] = asked
	}
	switch {
	case asked.foreign:
		r.foreign[key] = true
	case !asked.known || r.h.truncated:
		r.strange++
	default:
		r.durability.add(rankPhantom, rev, func() Evidence {
			var keys []string
			for i := range group {
				keys = append(keys, r.t.keys.names[group[i].Key])
			}
			return Evidence{
				Message: fmt.Sprintf("revision %d holds %s, which nobody deleted then: no operation with an unknown outcome explains it, and the members' logs hold no delete by anyone else", rev, r.t.records(r.ref, group)),
				Member:  r.ref.name, Revision: rev, Keys: keys,
			}
		})
	}
}

// sessions says whether a revision is of locks and elections alone, whose check
// knows their writers by their leases.
func (r *replay) sessions(group []datadir.Revision) bool {
	for i := range group {
		rest, ours := strings.CutPrefix(r.t.keys.names[group[i].Key], r.t.run.Prefix)
		if !ours || !strings.HasPrefix(rest, history.LockPrefix) && !strings.HasPrefix(rest, history.ElectionPrefix) {
			return false
		}
	}
	return true
}

// leaseOf is the lease whose keys a revision deletes, all of them and no others,
// as its end does (etcd's lessor, Revoke); 0 if there is none.
func (r *replay) leaseOf(group []datadir.Revision) int64 {
	lease := r.state.cells[r.state.rank[group[0].Key]].lease
	if lease == 0 || len(group) != r.state.attached[lease] {
		return 0
	}
	for i := range group {
		if r.state.cells[r.state.rank[group[i].Key]].lease != lease {
			return 0
		}
	}
	return lease
}

func (r *replay) overlaps(o *op, group []datadir.Revision) bool {
	for _, q := range r.h.branch(o, o.is(succeeded)) {
		from, to := r.state.span(q.key, q.end)
		for i := range group {
			if k := r.state.rank[group[i].Key]; q.verb == history.Delete && k >= from && k < to {
				return true
			}
		}
	}
	return false
}

// foreignDelete asks the logs whether someone else deleted a key: they hold
// more deletes of it than the run asked for. known is false when the logs do
// not reach back to the run's start.
func (r *replay) foreignDelete(key uint32) (foreign, known bool) {
	asked := 0
	for i := range r.h.all {
		o := &r.h.all[i]
		if o.is(isFailed) {
			continue
		}
		r.h.each(o, func(q *request) {
			from, to := r.state.span(q.key, q.end)
			if k := r.state.rank[key]; q.verb == history.Delete && k >= from && k < to {
				asked++
			}
		})
	}
	name := r.t.keys.names[key]
	for _, m := range r.c.members {
		if m.store == nil {
			continue
		}
		logged := 0
		for _, w := range m.store.Writes {
			if w.Delete && (w.Key == name || w.End != "" && w.Key <= name && (w.End == "\x00" || name < w.End)) {
				logged++
			}
		}
		if logged > asked {
			return true, true
		}
		wal := &m.store.Report.WAL
		if wal.FirstSeq == 0 && wal.First == 1 && wal.Last >= m.store.Report.DB.ConsistentIndex {
			known = true
		}
	}
	return false, known
}
