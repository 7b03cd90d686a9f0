package verify

import (
	"cmp"
	"slices"
	"sort"

	"github.com/etcdlab/etcdlab/crash/history"
)

// milestone is something that was known from a time on, in nanoseconds: a revision,
// and which answer told it.
type milestone struct {
	at, rev int64
	by      source
}

// source is an operation of the KV service or, below 0, a call: -1-index.
type source int32

// milestones are in order of time once they are settled, and each holds the highest
// revision so far.
type milestones []milestone

func (m *milestones) settle() {
	list := *m
	slices.SortStableFunc(list, func(a, b milestone) int { return cmp.Compare(a.at, b.at) })
	for i := 1; i < len(list); i++ {
		if list[i].rev <= list[i-1].rev {
			list[i].rev, list[i].by = list[i-1].rev, list[i-1].by
		}
	}
}

// before is the highest that was known before a time; the zero mark for none.
func (m milestones) before(at int64) milestone {
	i := sort.Search(len(m), func(i int) bool { return m[i].at >= at })
	if i == 0 {
		return milestone{}
	}
	return m[i-1]
}

// lives are the times at which a member's etcd ended or began, by the index of
// its name in the history. What a process has applied it does not forget; the
// next one may have to apply it again.
type lives [][]int64

func newLives(h *ops, events []history.Event) lives {
	l := make(lives, len(h.members))
	for i := range events {
		e := &events[i]
		switch e.Kind {
		case history.EventCut, history.EventKilled, history.EventExited, history.EventRestored, history.EventMounted, history.EventStarted:
			if n := slices.Index(h.members, e.Member); n >= 0 {
				l[n] = append(l[n], e.Time) // events are in order of time
			}
		}
	}
	return l
}

// of is the number of the life that a member led from one time to another; sure
// is false when there may have been two.
func (l lives) of(member uint8, from, to int64) (life int, sure bool) {
	ends := l[member]
	if len(ends) == 0 {
		return 0, true
	}
	life = sort.Search(len(ends), func(i int) bool { return ends[i] >= from })
	return life, life == len(ends) || ends[life] > to
}
