package transcript

import (
	"container/heap"
	"errors"
	"io"
)

// Clients stamp a record and then append it, so records of a log are in order
// but for those that were stamped while others waited for a processor. As much
// of each log is held as that can take, and no more than holds a few megabytes
// of ordinary records; what is later still is told late.
const (
	holdFor = 100e6 // nanoseconds
	holdMax = 256
)

// merge hands over the records of all sources by time. A source that fails ends,
// and the others go on; the only error is each's.
func merge(sources []source, failed func(error), each func(*Record) error) error {
	held := make([]*window, len(sources))
	for i, next := range sources {
		held[i] = &window{next: next, failed: failed}
	}
	for {
		var first *window
		for _, w := range held {
			if w.fill(); len(w.held) > 0 && (first == nil || w.held[0].Time < first.held[0].Time) {
				first = w
			}
		}
		if first == nil {
			return nil
		}
		if err := each(heap.Pop(&first.held).(entry).Record); err != nil {
			return err
		}
	}
}

// window holds what was read of a source and not yet handed over.
type window struct {
	next   source
	failed func(error)
	held   records
	newest int64
	read   uint64
	done   bool
}

// fill reads until the earliest record held is old enough that none before it
// is to be expected.
func (w *window) fill() {
	for !w.done && len(w.held) < holdMax && (len(w.held) == 0 || w.newest-w.held[0].Time < holdFor) {
		r, err := w.next()
		if err != nil {
			w.done = true
			if !errors.Is(err, io.EOF) {
				w.failed(err)
			}
			return
		}
		w.read++
		w.newest = max(w.newest, r.Time)
		heap.Push(&w.held, entry{r, w.read})
	}
}

// entry is a record with its place in the log, which decides between equal times.
type entry struct {
	*Record
	place uint64
}

type records []entry

func (h records) Len() int { return len(h) }
func (h records) Less(i, j int) bool {
	if h[i].Time != h[j].Time {
		return h[i].Time < h[j].Time
	}
	return h[i].place < h[j].place
}
func (h records) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *records) Push(x any)   { *h = append(*h, x.(entry)) }
func (h *records) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = entry{}
	*h = old[:len(old)-1]
	return last
}
