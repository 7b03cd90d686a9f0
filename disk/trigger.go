package disk

import (
	"context"
	"time"
)

// trigger is an operation at which a hold begins.
type trigger struct {
	at      Fault
	matched uint64
	fired   chan struct{} // closed when it has been met
	off     chan struct{} // closed when it is not armed any more
}

func (t *trigger) disarm() {
	if t != nil {
		close(t.off)
	}
}

// trip begins the hold if the operation is the one that was waited for. A flush
// counts if it has something to cover, and is itself held back.
func (e *Engine) trip(op Operation, off, n int64) {
	t := e.trigger
	if t == nil || op == OpFlush && e.uncovered == 0 || !e.meets(&t.at, op, off, n) {
		return
	}
	if t.matched++; t.matched < t.at.Nth {
		return
	}
	e.trigger = nil
	e.gate.shut()
	close(t.fired)
}

// heldWithin is how long after its trigger HoldAt waits for the first flush.
const heldWithin = 100 * time.Millisecond

// HoldAt is Hold from an operation on: the nth that at matches, of which only Op,
// File, Offset, Length and Nth count. That operation itself, if it is a flush, is
// the first to be held back; a write of it is in the cache. fired is false if none
// came within the limit, and nothing is held back then.
func (e *Engine) HoldAt(ctx context.Context, at Fault, limit time.Duration) (fired bool, flushes, uncovered int, err error) {
	at = Fault{Op: at.Op, File: at.File, Offset: at.Offset, Length: at.Length, Nth: at.Nth}
	e.mu.Lock()
	if err := checkFault(at, e.size); err != nil {
		e.mu.Unlock()
		return false, 0, 0, err
	}
	if !e.powered {
		e.mu.Unlock()
		return false, 0, 0, ErrNoPower
	}
	e.trigger.disarm()
	t := &trigger{at: at, fired: make(chan struct{}), off: make(chan struct{})}
	e.trigger = t
	e.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-t.fired:
	case <-t.off:
	case <-timer.C:
	case <-ctx.Done():
	}
	e.mu.Lock()
	if e.trigger == t {
		e.trigger = nil
	}
	e.mu.Unlock()
	select {
	case <-t.fired: // perhaps just now
	default:
		return false, 0, 0, nil
	}
	flushes, uncovered = e.Hold(ctx, heldWithin)
	return true, flushes, uncovered, nil
}
