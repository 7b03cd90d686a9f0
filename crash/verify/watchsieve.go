package verify

import (
	"slices"
	"sort"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// sieve is what of the chronicle an interval of keys holds: positions of
// records, in order.
type sieve struct {
	recs []datadir.Revision
	all  bool
	list []uint32 // if not all
}

func (s *sieve) len() int {
	if s.all {
		return len(s.recs)
	}
	return len(s.list)
}

// at is the position in the chronicle of the sieve's nth record.
func (s *sieve) at(n int) int {
	if s.all {
		return n
	}
	return int(s.list[n])
}

func (s *sieve) rev(n int) int64 { return s.recs[s.at(n)].Main }

// find is the first record at a revision or above.
func (s *sieve) find(rev int64) int {
	return sort.Search(s.len(), func(n int) bool { return s.rev(n) >= rev })
}

// sieves keeps those of the intervals that are watched: clients watch few
// different ones, again and again.
type sieves struct {
	chron *chronicle
	state *state
	keys  *keyTable
	kept  map[[2]string]sieve
	size  int
}

// narrow intervals are joined of their keys' records: sorting a few is less than
// looking at all.
const narrow = 32

// maxSieves bounds the positions that are kept, of 4 bytes each.
const maxSieves = 16 << 20

func newSieves(r *replay) sieves {
	s := sieves{kept: make(map[[2]string]sieve)}
	if r != nil {
		s.chron, s.state, s.keys = r.chron, r.state, r.t.keys
	}
	return s
}

func (s *sieves) of(key, end string) sieve {
	if s.chron == nil {
		return sieve{}
	}
	if end == "" {
		out := sieve{recs: s.chron.recs}
		if id, ok := s.keys.ids[key]; ok {
			out.list = s.chron.history(id)
		}
		return out
	}
	if out, ok := s.kept[[2]string{key, end}]; ok {
		return out
	}
	names, number := s.state.names, s.state.number
	from := uint32(sort.Search(len(number), func(i int) bool { return names[number[i]] >= key }))
	to := uint32(len(number))
	if end != "\x00" {
		to = uint32(sort.Search(len(number), func(i int) bool { return names[number[i]] >= end }))
	}
	out := sieve{recs: s.chron.recs, all: from <= 1 && int(to) == len(number)}
	switch {
	case out.all || from >= to:
	case to-from <= narrow:
		for k := from; k < to; k++ {
			out.list = append(out.list, s.chron.history(number[k])...)
		}
		slices.Sort(out.list)
	default:
		for i := range out.recs {
			if k := s.state.rank[out.recs[i].Key]; k >= from && k < to {
				out.list = append(out.list, uint32(i))
			}
		}
	}
	if s.size += len(out.list); s.size > maxSieves {
		clear(s.kept)
		s.size = len(out.list)
	}
	s.kept[[2]string{key, end}] = out
	return out
}

// prevs gives for every record of the chronicle one more than the position of
// the record of the same key before it; 0: there is none.
func prevs(recs []datadir.Revision) []uint32 {
	top := uint32(0)
	for i := range recs {
		top = max(top, recs[i].Key)
	}
	newest := make([]uint32, top+1)
	prev := make([]uint32, len(recs))
	for i := range recs {
		k := recs[i].Key
		prev[i] = newest[k]
		newest[k] = uint32(i) + 1
	}
	return prev
}
