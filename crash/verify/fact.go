package verify

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// setting gives a fact a value, 0 to 3, at some time from one to another.
type setting struct {
	from, to int64
	client   int32
	value    uint8
	// over is the latest time at which something else may yet come before it: a
	// client's own requests follow each other, however far clocks are apart.
	over int64
}

// fact is something that requests of the run change, one after another in an
// order of which only their times tell.
type fact struct {
	sure  []setting // acknowledged, by from
	last  []int64   // the latest over of the sure ones up to each
	maybe []setting // of unknown outcome: each may come about at any later time
}

// set notes a request. One without a return may still be on its way.
func (f *fact) set(s setting) {
	if s.to == math.MaxInt64 {
		f.maybe = append(f.maybe, s)
		return
	}
	f.sure = append(f.sure, s)
}

func (f *fact) settle() {
	slices.SortStableFunc(f.sure, func(a, b setting) int { return cmp.Compare(a.from, b.from) })
	next := make(map[int32]int64) // by client
	for i := len(f.sure) - 1; i >= 0; i-- {
		s := &f.sure[i]
		s.over = s.to
		if from, ok := next[s.client]; ok {
			s.over = min(s.over, from-1)
		}
		next[s.client] = s.from
	}
	f.last = make([]int64, len(f.sure))
	for i, s := range f.sure {
		f.last[i] = s.over
		if i > 0 {
			f.last[i] = max(f.last[i], f.last[i-1])
		}
	}
}

// values are the set of bits of those that the fact may have had at some time of
// a window. decided is false when nothing before the window says what it was, so
// that it may have had any.
func (f *fact) values(from, to int64) (set values, decided bool) {
	cut := int64(math.MinInt64) // what had ended before was overwritten before the window
	n := sort.Search(len(f.sure), func(i int) bool { return f.sure[i].from > to })
	for i := n - 1; i >= 0 && f.last[i] >= cut; i-- {
		s := &f.sure[i]
		if s.over < cut {
			continue
		}
		set |= 1 << s.value
		if s.to < from && !decided {
			cut, decided = s.from, true
		}
	}
	if !decided {
		return anyValue, false
	}
	for _, s := range f.maybe {
		if s.from <= to {
			set |= 1 << s.value
		}
	}
	return set, true
}

// values is a set of values of a fact, a bit for each.
type values uint8

const anyValue values = 0b1111

func (v values) only(value uint8) bool { return v == 1<<value }
func (v values) may(value uint8) bool  { return v&(1<<value) != 0 }

// mayGrant says whether one of the values has the wanted bits of a permission.
func (v values) mayGrant(want uint8) bool {
	for n := range uint8(4) {
		if v.may(n) && n&want == want {
			return true
		}
	}
	return false
}

// grant says whether every one of the values has them.
func (v values) grant(want uint8) bool {
	for n := range uint8(4) {
		if v.may(n) && n&want != want {
			return false
		}
	}
	return true
}
