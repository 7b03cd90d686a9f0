package disk

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// blow is an armed fault that hits an operation. What it did is noted at the
// fault, which others may have taken the place of meanwhile.
type blow struct {
	*armed
	op   Operation
	draw *rand.Rand // of its own: reads and writes are hit at once
}

// free lets what faults keep waiting go on, with the lock held.
func (e *Engine) free() {
	close(e.freed)
	e.freed = make(chan struct{})
}

// meet lets triggers and armed faults have an operation before it is done, with
// the lock held; one that waits lets go of it. A blow is left to the caller, who
// has to look again whether the disk has power. data says that the operation has
// some.
func (e *Engine) meet(op Operation, off, n int64, data bool) (*blow, error) {
	e.trip(op, off, n)
	if len(e.faults) == 0 {
		return nil, nil
	}
	hit := e.hit(op, off, n, data)
	switch {
	case hit == nil:
		return nil, nil
	case hit.Action == "" || hit.Action == ActError:
		hit.Last = describe(op, off, n) + " failed"
		e.stats.Errors++
		return nil, &FaultError{op, off}
	case hit.Action == ActDelay:
		hit.Last = describe(op, off, n) + " delayed by " + hit.Delay.String()
		e.wait(hit.Delay)
		return nil, nil
	case hit.Action == ActHang:
		hit.Last = describe(op, off, n) + " stuck"
		left := time.Duration(-1)
		if hit.until != 0 {
			left = time.Duration(hit.until - e.clock())
		}
		e.wait(left)
		return nil, nil
	}
	return hit, nil
}

// hit gives the first armed fault that hits the operation. Every fault that
// matches counts it.
func (e *Engine) hit(op Operation, off, n int64, data bool) (first *blow) {
	now := e.clock()
	for _, a := range e.faults {
		switch {
		case a.until != 0 && now >= a.until, !e.meets(&a.Fault, op, off, n):
			continue
		case op == OpWrite && !data && a.Action.Lies() && a.Action != ActLose:
			continue // a discard has nothing to put elsewhere, to tear or to flip
		case a.Action == ActTear && len(e.atoms(off, n)) < 3:
			continue // one atom is whole or not there
		}
		a.Matched++
		if a.Matched < a.Nth || a.Count != 0 && a.Hit >= a.Count || first != nil {
			continue
		}
		if a.Share > 0 && a.rand.Float64() >= a.Share {
			continue
		}
		a.Hit++
		first = &blow{armed: a, op: op}
		if a.rand != nil {
			first.draw = rand.New(rand.NewPCG(a.rand.Uint64(), a.Hit))
		}
	}
	return first
}

// wait waits without the lock for so long, or for ever if it is negative, or
// until faults are set or the power goes.
func (e *Engine) wait(d time.Duration) {
	freed := e.freed
	e.stats.Stuck++
	e.mu.Unlock()
	var over <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-freed:
	case <-over:
	}
	e.mu.Lock()
	e.stats.Stuck--
}

func (e *Engine) atoms(off, n int64) []uint64 {
	return atomsOf(Entry{Sector: uint64(off / SectorSize), Sectors: uint64(n / SectorSize)}, e.profile.atom)
}

// writeWrong does a write as the blow has it, and logs it so.
func (e *Engine) writeWrong(hit *blow, p []byte, off int64, fua bool) error {
	n := int64(len(p))
	switch hit.Action {
	case ActMisdirect:
		to := e.elsewhere(off, n, hit.Shift)
		if err := e.lied(hit, off, n, fmt.Sprintf(" done at %d", to)); err != nil {
			return err
		}
		return e.put(p, to, fua)
	case ActFlip:
		p = slices.Clone(p)
		at, bit := hit.flip(p)
		if err := e.lied(hit, off, n, fmt.Sprintf(" with bit %d of byte %d flipped", bit, off+at)); err != nil {
			return err
		}
		return e.put(p, off, fua)
	case ActTear:
		entry := Entry{Sector: uint64(off / SectorSize), Sectors: uint64(n / SectorSize)}
		pieces := tear(hit.draw, entry, e.atoms(off, n), false)
		done := int64(0)
		for _, x := range pieces {
			done += int64(x.To-x.From) * SectorSize
		}
		if err := e.lied(hit, off, n, fmt.Sprintf(" of which %d bytes are done", done)); err != nil {
			return err
		}
		for _, x := range pieces {
			from, to := int64(x.From)*SectorSize, int64(x.To)*SectorSize
			if err := e.put(p[from:to], off+from, fua); err != nil {
				return err
			}
		}
		return nil
	}
	return e.lied(hit, off, n, "")
}

// elsewhere is where a misdirected write goes, somewhere else on the disk.
func (e *Engine) elsewhere(off, n, shift int64) int64 {
	room := e.size - n + SectorSize // of places where it fits
	to := ((off+shift)%room + room) % room
	if to == off {
		to = (to + SectorSize) % room
	}
	return to
}

// flushWrong acknowledges a flush that covers nothing.
func (e *Engine) flushWrong(hit *blow) error {
	if err := e.lied(hit, 0, 0, ""); err != nil {
		return err
	}
	e.life.flushes++
	_, err := e.log().append(Entry{Flags: FlagFlush}, nil)
	return err
}

// lied notes that an operation is acknowledged and not done so; "" is not at all.
func (e *Engine) lied(hit *blow, off, n int64, how string) error {
	if how == "" {
		how = " lost"
	}
	hit.Last = describe(hit.op, off, n) + how
	e.stats.Lied++
	e.life.lied++
	return e.log().mark("fault: " + hit.Last)
}

func describe(op Operation, off, n int64) string {
	if op == OpFlush {
		return "flush"
	}
	return fmt.Sprintf("%s of %d bytes at %d", op, n, off)
}

// flip flips a bit of p that the fault draws.
func (b *blow) flip(p []byte) (at int64, bit int) {
	at, bit = b.draw.Int64N(int64(len(p))), b.draw.IntN(8)
	p[at] ^= 1 << bit
	return at, bit
}
