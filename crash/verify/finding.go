package verify

import (
	"cmp"
	"slices"
)

// Ranks of findings, worst first.
const (
	rankLost = iota
	rankChanged
	rankTwice
	rankHole
	rankPhantom
	rankOrder
	rankRead
	rankOther
)

// maxEvidence is how many findings of a check are told; the rest are counted.
const maxEvidence = 10

// finding is evidence with its place in the list.
type finding struct {
	rank int
	rev  int64
	seq  int // of two equal ones the first found comes first
	Evidence
}

// findings are what one check found. Only the worst are kept, and only those
// are put into words: a store that lost everything has a million of them.
type findings struct {
	list  []finding
	total int
}

func (f *findings) add(rank int, rev int64, tell func() Evidence) {
	f.total++
	x := finding{rank: rank, rev: rev, seq: f.total}
	at, _ := slices.BinarySearchFunc(f.list, x, func(a, b finding) int {
		return cmp.Or(a.rank-b.rank, cmp.Compare(a.rev, b.rev), a.seq-b.seq)
	})
	if at >= maxEvidence {
		return
	}
	x.Evidence = tell()
	f.list = slices.Insert(f.list, at, x)
	if len(f.list) > maxEvidence {
		f.list = f.list[:maxEvidence]
	}
}

func (f *findings) evidence() []Evidence {
	var out []Evidence
	for _, x := range f.list {
		out = append(out, x.Evidence)
	}
	return out
}
