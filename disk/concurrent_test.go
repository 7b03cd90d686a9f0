package disk

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestConcurrentUse has many goroutines write, read, flush and discard while
// the power comes and goes and flushes are held back. Each owns a block, so
// that it knows what it must read: its newest write, or after a cut one that is
// not older than its last flushed one.
func TestConcurrentUse(t *testing.T) {
	const workers, rounds = 6, 25
	e := open(t, Options{LogLimit: 64 << 10})
	// The power goes while nobody is between two steps of his own.
	var power sync.RWMutex
	var stop atomic.Bool
	var running sync.WaitGroup
	for w := range int64(workers) {
		running.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 4))
			off := w * 4096
			durable, lives := byte(0), lifeOf(e)
			for v := byte(1); !stop.Load(); v = v%250 + 1 {
				power.RLock()
				if life := lifeOf(e); life != lives {
					// What survived is the base of what follows.
					lives = life
					if got := at(t, e, off); !between(durable, got, v) {
						t.Errorf("after a cut block %d holds %d, %d was flushed, %d is next", w, got, durable, v)
					}
					write(t, e, v, off, 4096)
					must(t, e.Flush())
					durable = v
					if lifeOf(e) != lives {
						t.Error("the power went while it must not")
					}
					power.RUnlock()
					continue
				}
				write(t, e, v, off, 4096)
				if got := at(t, e, off); got != v {
					t.Errorf("block %d holds %d, %d was written", w, got, v)
				}
				if r.IntN(3) == 0 {
					must(t, e.Flush())
					durable = v
				}
				power.RUnlock()
			}
		})
	}
	for seed := range uint64(rounds) {
		time.Sleep(time.Millisecond)
		if seed%3 == 0 {
			e.Hold(context.Background(), time.Second)
			e.Release()
		}
		power.Lock()
		e.Cut()
		_, err := e.Restore(Policies[seed%5], seed)
		power.Unlock()
		must(t, err)
	}
	stop.Store(true)
	running.Wait()
}

func lifeOf(e *Engine) uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.life.number
}

// between reports whether got is one of the values from durable up to, and not
// with, next, which count from 1 to 250 and around.
func between(durable, got, next byte) bool {
	for v := durable; v != next; v = v%250 + 1 {
		if v == got {
			return true
		}
	}
	return false
}

// BenchmarkEngine is the engine's own part of an fdatasync: a write of 4 KiB to
// the end of a log, and a flush.
func BenchmarkEngine(b *testing.B) {
	e := open(b, Options{Size: 64 << 20})
	p := make([]byte, 4096)
	b.ReportAllocs()
	for i := range b.N {
		_, err := e.WriteAt(p, int64(i)*4096%e.Size())
		must(b, err)
		must(b, e.Flush())
	}
}
