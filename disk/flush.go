package disk

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// gate is where flushes wait while they are held back.
type gate struct {
	closed  chan struct{} // nil when flushes pass; closed to let them go
	arrived chan struct{} // closed at the first
	held    int
}

func (g *gate) shut() {
	if g.closed == nil {
		g.closed, g.arrived = make(chan struct{}), make(chan struct{})
	}
}

func (g *gate) open() {
	if g.closed != nil {
		close(g.closed)
		g.closed, g.arrived, g.held = nil, nil, 0
	}
}

// arrive counts a flush that is held back from now on.
func (g *gate) arrive() (released <-chan struct{}) {
	g.held++
	select {
	case <-g.arrived:
	default:
		close(g.arrived)
	}
	return g.closed
}

// Flush makes durable every write that completed before it was called. On a
// disk without power it succeeds, like everything, and does nothing.
func (e *Engine) Flush() (err error) {
	defer func() { e.broke(err) }()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.powered {
		return nil
	}
	hit, err := e.meet(OpFlush, 0, 0, false)
	if err != nil || !e.powered {
		return err
	}
	e.stats.Flushes++
	if hit != nil {
		return e.flushWrong(hit)
	}
	// One with nothing to cover is not held back: its file system would never
	// write what a later one has to cover.
	hold := e.gate.closed != nil && e.uncovered > 0
	if hold || e.profile.lies {
		err = e.flushSlowly(hold)
	} else if err = e.cover(e.log().next); err == nil {
		e.life.flushes++
		err = e.logFlush()
	}
	if err == nil {
		err = e.foldIfLong()
	}
	if err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// flushSlowly is a flush that may be held back between its beginning and its
// end, or that lies. It lets go of the lock meanwhile.
func (e *Engine) flushSlowly(hold bool) error {
	flush, err := e.log().append(Entry{Flags: FlagFlush}, nil)
	if err != nil {
		return err
	}
	if hold {
		released, epoch := e.gate.arrive(), e.log().epoch
		e.mu.Unlock()
		<-released
		e.mu.Lock()
		// In another log its index means nothing: the power was cut, or a
		// later flush went first, covered all and folded.
		if !e.powered || epoch != e.log().epoch {
			return nil
		}
	}
	e.life.flushes++
	if e.profile.lies {
		return nil
	}
	if err := e.cover(flush.Index); err != nil {
		return err
	}
	return e.log().flushEnd(flush.Index)
}

// logFlush logs a flush that nothing came between the beginning and the end of.
func (e *Engine) logFlush() error {
	flush, err := e.log().append(Entry{Flags: FlagFlush}, nil)
	if err != nil {
		return err
	}
	return e.log().flushEnd(flush.Index)
}

// cover makes the pending entries before the index durable.
func (e *Engine) cover(index uint64) error {
	n := len(e.pending)
	if n == 0 {
		return nil
	}
	if e.pending[n-1].Index < index {
		if err := e.cache.applyTo(e.image, e.log()); err != nil {
			return err
		}
		e.pending, e.uncovered = e.pending[:0], 0
		e.cache.reset()
		return nil
	}
	// The flush was held back and more was written meanwhile. The rest goes
	// through apply, too: a durable write in it may lie over a covered one,
	// and is gone from the image until then.
	if err := e.log().intent(markCovering + strconv.FormatUint(e.log().next-index, 10)); err != nil {
		return err
	}
	if err := apply(e.image, e.log(), e.pending, index, nil); err != nil {
		return err
	}
	rest := e.pending[:0]
	e.uncovered = 0
	for _, p := range e.pending {
		durable := p.Flags&FlagFUA != 0
		if p.Index < index || durable && len(rest) == 0 {
			continue
		}
		if !durable {
			e.uncovered++
		}
		rest = append(rest, p)
	}
	e.pending = rest
	if len(rest) == 0 {
		e.cache.reset()
	}
	// Ends the intent.
	if err := e.log().mark(markCovered); err != nil {
		return err
	}
	return e.log().sync()
}

// foldIfLong restarts a log that has grown long. It may only when the image
// holds everything that the log says.
func (e *Engine) foldIfLong() error {
	if e.keep || e.log().end < e.limit || len(e.pending) > 0 {
		return nil
	}
	e.life.folded += e.log().next
	return e.log().restart(e.log().epoch + 1)
}

// Hold lets no flush that covers a write complete from now on, so that a cut
// finds writes that are on their way. It returns when the first flush is held
// back, after limit, at a cut, or when ctx ends, and says how many flushes are
// held back and how many writes are uncovered. Flushes held back complete after
// Release; after Cut they succeed and cover nothing.
func (e *Engine) Hold(ctx context.Context, limit time.Duration) (flushes, uncovered int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.powered {
		return 0, e.uncovered
	}
	e.gate.shut()
	arrived, opened := e.gate.arrived, e.gate.closed
	e.mu.Unlock()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-arrived:
	case <-opened:
	case <-t.C:
	case <-ctx.Done():
	}
	e.mu.Lock()
	return e.gate.held, e.uncovered
}

// Release lets the flushes that Hold holds back complete, and later ones pass. A
// HoldAt that waits for its trigger ends.
func (e *Engine) Release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.trigger.disarm()
	e.trigger = nil
	e.gate.open()
}
