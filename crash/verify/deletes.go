package verify

import (
	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// pendingDeletes finds authors for tombstones that nobody was acknowledged.
// Tombstones carry no name, so any delete with an unknown outcome that would
// have left them will do, each for one revision: a matching, extended by one
// revision at a time. Revisions only stay unexplained if no assignment explains
// them all.
type pendingDeletes struct {
	single map[uint32][]int32 // operations, by the rank of the one key they delete
	ranges []int32
	marks  []mark
	of     map[int32]int // the mark that an operation explains
}

// mark is a revision of tombstones with the operations that fit it.
type mark struct {
	rev  int64
	fits []int32
}

func newPendingDeletes(h *ops, s *state) *pendingDeletes {
	p := &pendingDeletes{single: make(map[uint32][]int32), of: make(map[int32]int)}
	for i := range h.all {
		o := &h.all[i]
		if o.flags&(isOK|isFailed) != 0 {
			continue
		}
		h.each(o, func(q *request) {
			switch {
			case q.verb != history.Delete:
			case q.end == 0:
				p.single[s.rank[q.key]] = append(p.single[s.rank[q.key]], int32(i))
			default:
				p.ranges = append(p.ranges, int32(i))
			}
		})
	}
	return p
}

// explain adds a revision to the matching and says whether that was possible.
// An operation may have run at any time after its invoke, and not at all if a
// value of it gives away where it did.
func (p *pendingDeletes) explain(r *replay, rev int64, group []datadir.Revision) bool {
	p.marks = append(p.marks, mark{rev, p.fits(r, rev, group)})
	return p.assign(r, len(p.marks)-1, make(map[int32]bool))
}

// fits gives the operations that would have left the tombstones.
func (p *pendingDeletes) fits(r *replay, rev int64, group []datadir.Revision) (fits []int32) {
	for _, list := range [2][]int32{p.single[r.state.rank[group[0].Key]], p.ranges} {
		for _, n := range list {
			o := &r.h.all[n]
			if o.found > 0 || r.floor[n] >= rev {
				continue
			}
			if same, _ := r.simulate(o, rev).matches(r, group); same {
				fits = append(fits, n)
			}
		}
	}
	return fits
}

// assign gives mark i an operation, moving others' on if it must.
func (p *pendingDeletes) assign(r *replay, i int, tried map[int32]bool) bool {
	for _, n := range p.marks[i].fits {
		if tried[n] {
			continue
		}
		tried[n] = true
		if other, taken := p.of[n]; taken && !p.assign(r, other, tried) {
			continue
		}
		p.of[n] = i
		r.h.all[n].at = p.marks[i].rev
		return true
	}
	return false
}
