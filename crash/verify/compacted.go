package verify

import (
	"fmt"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// old judges a revision that compaction has removed from the stores, by what
// the recorders were told of it. Where they were all away the acknowledgement
// alone tells; where there is none either, nothing is known until the store
// says what the compaction left.
func (r *replay) old(rev int64, expect *int64, group []datadir.Revision, claims []task) {
	if rev > *expect {
		r.missing(*expect, rev-1)
	}
	switch {
	case len(group) == 0 && rev >= *expect && (len(claims) != 1 || r.blurred):
		r.missing(rev, rev)
	case len(group) == 0 && rev >= *expect:
		group = r.presumed(&r.h.all[claims[0].op], rev)
	case len(r.chron.others[rev]) > 0 && !r.blurred:
		group = r.choose(rev, group, claims)
	}
	*expect = max(*expect, rev+1)
	if r.blurred {
		r.below += len(claims)
		for _, t := range claims {
			r.h.all[t.op].at = rev // nothing contradicts it
		}
		r.apply(group)
		return
	}
	r.revision(rev, group, claims)
}

func (r *replay) missing(from, to int64) {
	r.blurred = true
	r.chron.gap(from, to)
}

// presumed is what an acknowledged operation must have written.
func (r *replay) presumed(o *op, rev int64) []datadir.Revision {
	at := len(r.amended)
	for i, e := range r.simulate(o, rev).effects {
		g := datadir.Revision{Main: rev, Sub: uint32(i), Key: r.state.number[e.rank]}
		if e.cell.live {
			g.Value, g.Create, g.Version, g.Lease = e.cell.value, e.cell.create, e.cell.version, e.cell.lease
		} else {
			g.Flags |= datadir.Tombstone
		}
		r.amended = append(r.amended, g)
	}
	return r.amended[at:]
}

// choose takes the account of a revision that an acknowledgement confirms, where
// the recorders do not agree: the watch check tells of the others.
func (r *replay) choose(rev int64, group []datadir.Revision, claims []task) []datadir.Revision {
	for _, t := range claims {
		s := r.simulate(&r.h.all[t.op], rev)
		if same, _ := s.matches(r, group); same {
			return group
		}
		for _, other := range r.chron.others[rev] {
			if same, meta := s.matches(r, other); same && meta == "" {
				r.amended = append(r.amended, other...)
				return other
			}
		}
	}
	return group
}

// contradicted tells of an acknowledged write that the recorders were told
// otherwise of.
func (r *replay) contradicted(o *op, rev int64, group []datadir.Revision) {
	r.durability.add(rankChanged, rev, func() Evidence {
		return r.t.story(r.t.evidence(o, fmt.Sprintf("%s is not what the recorders' watches were told of revision %d, which has been compacted since: %s",
			r.t.describe(o), rev, r.t.records(r.ref, group))), o)
	})
}

// settle compares the state that the recorders tell of at the compacted
// revision with what the compaction left of it in the store, and goes on from
// the latter. Tombstones may be left or not; superseded records are there until
// a compaction that was interrupted goes on.
func (r *replay) settle(expect int64) {
	r.settled = true
	if !r.chron.told {
		return
	}
	if expect <= r.compacted {
		r.missing(expect, r.compacted)
	}
	left := newState(r.h.keys)
	for i := range r.ref.store.Revisions {
		g := &r.ref.store.Revisions[i]
		if g.Main > r.compacted {
			break
		}
		if g.Is(datadir.Foreign) || g.Main <= r.base {
			continue
		}
		var c cell
		if !g.Is(datadir.Tombstone) {
			c = cell{value: g.Value, create: g.Create, mod: g.Main, version: g.Version, lease: g.Lease, live: true}
		}
		left.set(left.rank[g.Key], c)
	}
	for k := range left.cells {
		was, is := &r.state.cells[k], &left.cells[k]
		if r.blurred || *was == *is {
			continue
		}
		key := r.state.number[k]
		r.compaction.add(rankLost, max(was.mod, is.mod), func() Evidence {
			e := Evidence{
				Message: fmt.Sprintf("after the compaction at revision %d the store of %s has %s, where %s",
					r.compacted, r.ref.name, r.tellCell(key, is), "the revisions before make it "+r.tellCell(key, was)),
				Member: r.ref.name, Revision: max(was.mod, is.mod), Keys: []string{r.t.keys.names[key]},
			}
			return e
		})
	}
	for k := range left.cells {
		r.state.set(uint32(k), left.cells[k])
	}
	r.blurred = false
}

func (r *replay) tellCell(key uint32, c *cell) string {
	if !c.live {
		return "no " + r.t.key(key)
	}
	return fmt.Sprintf("%s with mod revision %d, create revision %d and version %d", r.t.key(key), c.mod, c.create, c.version)
}
