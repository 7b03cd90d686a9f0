package disk

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"
)

// Operation is what a fault acts on.
type Operation string

const (
	OpRead  Operation = "read"
	OpWrite Operation = "write"
	OpFlush Operation = "flush"
)

// Action is what a fault does with an operation.
type Action string

const (
	ActError Action = "error" // it fails with EIO; the default
	ActDelay Action = "delay" // it is done after Delay
	ActHang  Action = "hang"  // it waits until the disk is healed or cut, or For is over
	// What follows is acknowledged and not done so: a disk that lies.
	ActLose      Action = "lose"      // not done: a write is gone, a flush covers nothing
	ActMisdirect Action = "misdirect" // a write is done Shift bytes away
	ActTear      Action = "tear"      // some sectors of a write are done, others are not
	ActFlip      Action = "flip"      // one bit of what is written or read is another
)

// Actions lists every action, in the order they are documented.
var Actions = []Action{ActError, ActDelay, ActHang, ActLose, ActMisdirect, ActTear, ActFlip}

// Lies says whether the disk acknowledges what it does not do.
func (a Action) Lies() bool { return slices.Contains(Actions[3:], a) }

// Fault makes matching operations of a powered disk go wrong. The zero value of
// a condition matches everything.
type Fault struct {
	Op     Operation `json:"op"`
	Action Action    `json:"action,omitempty"` // "" is error
	// File, if not "", is the name of a file that Place has told the place of; the
	// range is then one of the file, and a flush matches when it would cover a
	// write there.
	File   string        `json:"file,omitempty"`
	Offset int64         `json:"offset,omitempty"` // bytes; with Length, the range that matches
	Length int64         `json:"length,omitempty"` // bytes; 0 is to the end of the disk, or the file
	Nth    uint64        `json:"nth,omitempty"`    // only from the nth match on, 1-based
	Count  uint64        `json:"count,omitempty"`  // at most so many times; 0 is until healed
	For    time.Duration `json:"for,omitempty"`    // only for so long after it was armed
	Share  float64       `json:"share,omitempty"`  // of the matches, drawn at random; 0 is all
	Seed   uint64        `json:"seed,omitempty"`   // of Share, and of what tear and flip draw
	Delay  time.Duration `json:"delay,omitempty"`  // of delay
	Shift  int64         `json:"shift,omitempty"`  // of misdirect, in bytes; it wraps at the disk's ends
}

// FaultState is an armed fault and what it did.
type FaultState struct {
	Fault
	Matched uint64 `json:"matched"`        // operations that met the conditions
	Hit     uint64 `json:"hit"`            // of those, the ones that went wrong
	Last    string `json:"last,omitempty"` // what was done to the last one
}

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
	until int64      // on the engine's clock, 0 is for ever
	rand  *rand.Rand // nil for what draws nothing
}

// maxDelay is more than any front waits.
const maxDelay = time.Minute

// CheckFault says what is wrong with a fault on any disk.
func CheckFault(f Fault) error { return checkFault(f, 1<<62) }

// checkFault fails on a fault that could never match or is out of range.
func checkFault(f Fault, size int64) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("arm a disk fault: "+format, args...)
	}
	if f.File != "" {
		size = 1 << 62 // its files come and go
	}
	switch {
	case f.Op != OpRead && f.Op != OpWrite && f.Op != OpFlush:
		return wrong("operation %q does not exist: use one of read, write, flush", f.Op)
	case f.Action != "" && !slices.Contains(Actions, f.Action):
		return wrong("action %q does not exist: use one of %v", f.Action, Actions)
	case f.Offset < 0 || f.Length < 0 || f.Offset >= size:
		return wrong("%d bytes at %d are not on a disk of %d bytes", f.Length, f.Offset, size)
	case f.Op == OpFlush && f.File == "" && (f.Offset != 0 || f.Length != 0):
		return wrong("a flush has no offset: leave offset and length out")
	case f.For < 0:
		return wrong("for %s lies in the past", f.For)
	case !(f.Share >= 0 && f.Share <= 1): // NaN is neither
		return wrong("a share of %g: must be 0, for all, to 1", f.Share)
	case (f.Action == ActDelay) != (f.Delay != 0) || f.Delay < 0 || f.Delay > maxDelay:
		return wrong("a delay of %s: action delay needs one of at most %s, and others have none", f.Delay, maxDelay)
	case (f.Action == ActMisdirect) != (f.Shift != 0) || f.Shift%SectorSize != 0:
		return wrong("a shift of %d bytes: action misdirect needs one of whole sectors of %d bytes, and others have none", f.Shift, SectorSize)
	}
	return checkAction(f)
}

// checkAction fails on an action that its operation does not have.
func checkAction(f Fault) error {
	has := map[Operation][]Action{
		OpRead:  {"", ActError, ActDelay, ActHang, ActFlip},
		OpWrite: append([]Action{""}, Actions...),
		OpFlush: {"", ActError, ActDelay, ActHang, ActLose},
	}[f.Op]
	if !slices.Contains(has, f.Action) {
		return fmt.Errorf("arm a disk fault: a %s has no action %s: use one of %v", f.Op, f.Action, has[1:])
	}
	return nil
}

// SetFaults replaces the armed faults; none heals the disk. What a fault keeps
// waiting goes on. It begins anew what Broken tells.
//
// A failed write changes nothing and is not logged. A failed flush covers
// nothing and loses nothing: what it would have covered stays in the cache,
// and a later flush that succeeds covers it, as in a device whose cache
// outlives the error. The file system above usually does not go on that long.
// The log has of every other write what reached the disk, and a mark for each
// that is not what was asked for.
func (e *Engine) SetFaults(faults []Fault) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := make([]*armed, 0, len(faults))
	for _, f := range faults {
		if err := checkFault(f, e.size); err != nil {
			return err
		}
		a := &armed{FaultState: FaultState{Fault: f}}
		if f.For > 0 {
			a.until = e.clock() + int64(f.For/time.Nanosecond)
		}
		if f.Share > 0 || f.Action == ActTear || f.Action == ActFlip {
			a.rand = rand.New(rand.NewPCG(f.Seed, 0x6661756c74)) // "fault"
		}
		next = append(next, a)
	}
	e.faults = next
	e.free()
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
