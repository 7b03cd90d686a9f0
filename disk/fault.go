package disk

import (
	"fmt"
	"syscall"
	"time"
)

// FaultError is what an operation gives that an armed fault made fail. It is
// an EIO.
type FaultError struct {
	Op     Operation
	Offset int64 // bytes; 0 for a flush
}

func (e *FaultError) Error() string {
	return fmt.Sprintf("%s at %d: an armed fault says input/output error", e.Op, e.Offset)
}

func (e *FaultError) Unwrap() error { return syscall.EIO }

// armed is a fault with what it did.
type armed struct {
	FaultState
	until int64 // on the engine's clock, 0 is for ever
}

// checkFault fails on a fault that could never match or is out of range.
func checkFault(f Fault, size int64) error {
	switch {
	case f.Op != OpRead && f.Op != OpWrite && f.Op != OpFlush:
		return fmt.Errorf("arm a disk fault: operation %q does not exist: use one of read, write, flush", f.Op)
	case f.Offset < 0 || f.Length < 0 || f.Offset >= size:
		return fmt.Errorf("arm a disk fault: %d bytes at %d are not on a disk of %d bytes", f.Length, f.Offset, size)
	case f.Op == OpFlush && (f.Offset != 0 || f.Length != 0):
		return fmt.Errorf("arm a disk fault: a flush has no offset: leave offset and length out")
	case f.For < 0:
		return fmt.Errorf("arm a disk fault: for %s lies in the past", f.For)
	}
	return nil
}

// matches reports whether the operation meets the fault's conditions; nth and
// count are for the caller.
func (a *armed) matches(op Operation, off, n, now int64) bool {
	if a.Op != op || a.until != 0 && now >= a.until {
		return false
	}
	if op == OpFlush {
		return true
	}
	return off+n > a.Offset && (a.Length == 0 || off < a.Offset+a.Length)
}

// fail returns the error of the first armed fault that makes the operation
// fail. Every fault that matches counts it.
func (e *Engine) fail(op Operation, off, n int64) error {
	if len(e.faults) == 0 {
		return nil
	}
	now, hit := e.clock(), false
	for i := range e.faults {
		a := &e.faults[i]
		if !a.matches(op, off, n, now) {
			continue
		}
		a.Matched++
		if a.Matched >= a.Nth && (a.Count == 0 || a.Hit < a.Count) && !hit {
			a.Hit++
			hit = true
		}
	}
	if !hit {
		return nil
	}
	e.stats.Errors++
	return &FaultError{op, off}
}

// SetFaults replaces the armed faults; none heals the disk. It begins anew what
// Broken tells.
//
// A failed write changes nothing and is not logged. A failed flush covers
// nothing and loses nothing: what it would have covered stays in the cache,
// and a later flush that succeeds covers it, as in a device whose cache
// outlives the error. The file system above usually does not go on that long.
func (e *Engine) SetFaults(faults []Fault) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := make([]armed, 0, len(faults))
	for _, f := range faults {
		if err := checkFault(f, e.size); err != nil {
			return err
		}
		a := armed{FaultState: FaultState{Fault: f}}
		if f.For > 0 {
			a.until = e.clock() + int64(f.For/time.Nanosecond)
		}
		next = append(next, a)
	}
	e.faults = next
	e.broken.Store(nil)
	return nil
}

// Faults returns the armed faults and what each did.
func (e *Engine) Faults() []FaultState {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]FaultState, 0, len(e.faults))
	for _, a := range e.faults {
		out = append(out, a.FaultState)
	}
	return out
}
