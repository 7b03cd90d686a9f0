package report

import "github.com/etcdlab/etcdlab/crash/history"

const (
	firstBucket = int64(10e6) // ns: finer is noise at the rates etcd reaches
	// maxBuckets leaves two pixels of the timeline for each bucket; a longer
	// run gets wider buckets, never more of them.
	maxBuckets = plotWidth / 2
)

// Load is a history folded into counts, small however long the run was.
type Load struct {
	Start  int64 // of the first bucket, nanoseconds of CLOCK_MONOTONIC
	End    int64 // the last return
	Width  int64 // of a bucket, nanoseconds: 10 ms times a power of two
	Counts []Counts

	Operations int
	Writes     int // acknowledged, and with a revision of their own
	Reads      int // acknowledged, all others
	Unknown    int // timed out or cut off: applied or not, nobody told
	Failed     int // refused, never applied
}

// Counts are the operations that returned in one bucket.
type Counts struct{ OK, Unknown, Failed int }

// Add counts one operation. Start must be set before the first.
func (l *Load) Add(op *history.Op) {
	if l.Width == 0 {
		l.Width = firstBucket
	}
	l.Operations++
	l.End = max(l.End, op.Return)
	c := l.at(op.Return)
	switch op.Outcome {
	case history.OK:
		c.OK++
		if ownsRevision(op) {
			l.Writes++
		} else {
			l.Reads++
		}
	case history.Failed:
		c.Failed++
		l.Failed++
	default:
		c.Unknown++
		l.Unknown++
	}
}

// at finds t's bucket, making buckets twice as wide until there is one.
func (l *Load) at(t int64) *Counts {
	i := max(t-l.Start, 0) / l.Width
	for i >= maxBuckets {
		for j := range l.Counts {
			c := l.Counts[j]
			l.Counts[j] = Counts{}
			half := &l.Counts[j/2]
			*half = Counts{half.OK + c.OK, half.Unknown + c.Unknown, half.Failed + c.Failed}
		}
		l.Counts = l.Counts[:(len(l.Counts)+1)/2]
		l.Width *= 2
		i /= 2
	}
	for int64(len(l.Counts)) <= i {
		l.Counts = append(l.Counts, Counts{})
	}
	return &l.Counts[i]
}

// ownsRevision says whether an acknowledged operation changed the store: a
// delete of nothing and a transaction without a write do not (etcd, API
// guarantees: the revision grows with each modification).
func ownsRevision(op *history.Op) bool {
	branch := op.Then
	if op.Kind == history.KindTxn && !op.Succeeded {
		branch = op.Else
	}
	for i, r := range branch {
		switch r.Verb {
		case history.Put:
			return true
		case history.Delete:
			if i < len(op.Results) && op.Results[i].Deleted > 0 {
				return true
			}
		}
	}
	return false
}
