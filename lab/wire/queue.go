package wire

import (
	"bytes"
	"container/heap"
	"time"
)

// maxLate bounds what waits in a queue, in bytes: what is more is lost, as in
// any network.
const maxLate = 32 << 20

// late is a frame that is to be sent later.
type late struct {
	at   time.Time
	turn uint64 // of those for the same time
	to   Direction
	data []byte
}

// queue has the frames in the order that they are due in.
type queue struct {
	frames byTime
	turn   uint64
	bytes  int
}

func (q *queue) add(at time.Time, to Direction, frame []byte) {
	if q.bytes+len(frame) > maxLate {
		return
	}
	q.turn++
	q.bytes += len(frame)
	heap.Push(&q.frames, late{at, q.turn, to, bytes.Clone(frame)})
}

// next is when the first is due.
func (q *queue) next() (time.Time, bool) {
	if len(q.frames) == 0 {
		return time.Time{}, false
	}
	return q.frames[0].at, true
}

// take removes what is due.
func (q *queue) take(now time.Time) (due []late) {
	for len(q.frames) > 0 && !q.frames[0].at.After(now) {
		f := heap.Pop(&q.frames).(late)
		q.bytes -= len(f.data)
		due = append(due, f)
	}
	return due
}

// hurry makes all of them due, in their order.
func (q *queue) hurry() {
	rest := q.take(time.Now().Add(1 << 62))
	for _, f := range rest {
		q.add(time.Time{}, f.to, f.data)
	}
}

type byTime []late

func (b byTime) Len() int      { return len(b) }
func (b byTime) Swap(i, j int) { b[i], b[j] = b[j], b[i] }
func (b byTime) Less(i, j int) bool {
	return b[i].at.Before(b[j].at) || b[i].at.Equal(b[j].at) && b[i].turn < b[j].turn
}
func (b *byTime) Push(x any) { *b = append(*b, x.(late)) }
func (b *byTime) Pop() any {
	all := *b
	last := all[len(all)-1]
	all[len(all)-1] = late{} // its frame is large
	*b = all[:len(all)-1]
	return last
}
