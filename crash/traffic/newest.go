package traffic

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// newest is what the clients of a load know of the store together: where to
// read, compact and watch from.
type newest struct {
	base      int64
	revision  atomic.Int64 // the highest that any answer's header had
	compacted atomic.Int64 // the highest compaction that was acknowledged
	listed    atomic.Int64 // the revision of the last list of objects

	mu      sync.Mutex
	deletes [64]int64 // a ring of the last revisions of deletes
	next    int
}

func raise(a *atomic.Int64, to int64) {
	for {
		if at := a.Load(); at >= to || a.CompareAndSwap(at, to) {
			return
		}
	}
}

func (n *newest) deleted(revision int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deletes[n.next%len(n.deletes)] = revision
	n.next++
}

// aDelete is one of the last revisions that deleted a key; 0: none is known.
func (n *newest) aDelete(r *rand.Rand) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next == 0 {
		return 0
	}
	return n.deletes[r.IntN(min(n.next, len(n.deletes)))]
}

// older is a revision to read at: mostly near the newest, sometimes between the
// last compaction and it, compacted, or in the future. It is not one before the
// run unless that is compacted: what the store held then is not in the history.
func (n *newest) older(r *rand.Rand) int64 {
	head, compacted := n.revision.Load(), n.compacted.Load()
	low := max(1, n.base, compacted)
	if head <= low {
		return low
	}
	switch d := r.IntN(100); {
	case d < 60:
		return max(low, head-r.Int64N(20))
	case d < 85:
		return low + r.Int64N(head-low+1)
	case d < 95 && compacted > 1:
		return max(1, compacted-r.Int64N(20))
	case d < 97:
		return head + 1_000_000
	}
	return head
}
