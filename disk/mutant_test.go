package disk

import (
	"math/rand/v2"
	"testing"
)

// Engines with one bug each. The model test has to find all of them, or it
// would not find them in the real one.

// losesWrite acknowledges a write that it does not do.
type losesWrite struct{ *Engine }

func (d losesWrite) WriteAt(p []byte, off int64) (int, error) {
	if off == 9*SectorSize {
		return len(p), nil
	}
	return d.Engine.WriteAt(p, off)
}

// ignoresFlush covers nothing.
type ignoresFlush struct{ *Engine }

func (d ignoresFlush) Flush() error { return nil }

// coversEarly covers a write that no flush followed.
type coversEarly struct{ *Engine }

func (d coversEarly) WriteAt(p []byte, off int64) (int, error) {
	n, err := d.Engine.WriteAt(p, off)
	d.mu.Lock()
	defer d.mu.Unlock()
	if off == 9*SectorSize && err == nil {
		err = d.cover(d.log().next)
	}
	return n, err
}

// forgetsFUA treats a FUA write as any other.
type forgetsFUA struct{ *Engine }

func (d forgetsFUA) WriteFUA(p []byte, off int64) (int, error) { return d.Engine.WriteAt(p, off) }

// coversHeld lets a flush that was in flight at the cut cover its writes.
type coversHeld struct{ *Engine }

func (d coversHeld) Cut() CutRecord {
	d.mu.Lock()
	if d.gate.held > 0 {
		_ = d.cover(d.log().next)
	}
	d.mu.Unlock()
	return d.Engine.Cut()
}

// writesPastCut lets a write through after the power is gone.
type writesPastCut struct{ *Engine }

func (d writesPastCut) Restore(p Policy, seed uint64) (Choice, error) {
	c, err := d.Engine.Restore(p, seed)
	if err == nil {
		_, err = d.WriteFUA(sectorData(1<<30, 1), 0)
	}
	return c, err
}

// tearsAtoms tears at 512 bytes a disk that promises 4 KiB.
type tearsAtoms struct{ *Engine }

func (d tearsAtoms) Restore(p Policy, seed uint64) (Choice, error) {
	d.profile.name = Honest512
	defer func() { d.profile.name = Honest4K }()
	return d.Engine.Restore(p, seed)
}

// reorders lets an earlier write win over a later one that is durable.
type reorders struct{ *Engine }

func (d reorders) Restore(p Policy, seed uint64) (Choice, error) {
	d.mu.Lock()
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range d.pending {
		j := r.IntN(i + 1)
		d.pending[i], d.pending[j] = d.pending[j], d.pending[i]
	}
	d.mu.Unlock()
	return d.Engine.Restore(p, seed)
}

// keepsOne keeps a write that drop must lose.
type keepsOne struct{ *Engine }

func (d keepsOne) Restore(p Policy, seed uint64) (Choice, error) {
	if p == Drop {
		p = Keep
	}
	return d.Engine.Restore(p, seed)
}

// isHonest has no faults.
type isHonest struct{ *Engine }

func (d isHonest) SetFaults([]Fault) error { return nil }

// swaps does one thing wrong where another was to be.
type swaps struct {
	*Engine
	from, to Action
}

func (d swaps) SetFaults(faults []Fault) error {
	for i := range faults {
		if f := &faults[i]; f.Action == d.from {
			f.Action = d.to
			f.Shift = 0
		}
	}
	return d.Engine.SetFaults(faults)
}

// misdirectsFurther has its misdirected writes a sector off.
type misdirectsFurther struct{ *Engine }

func (d misdirectsFurther) SetFaults(faults []Fault) error {
	for i := range faults {
		if faults[i].Action == ActMisdirect {
			faults[i].Shift += SectorSize
		}
	}
	return d.Engine.SetFaults(faults)
}

// coversByLie makes durable what a flush that lies would cover.
type coversByLie struct{ *Engine }

func (d coversByLie) Flush() error {
	if err := d.Engine.Flush(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cover(d.log().next)
}

func TestModelFindsBugs(t *testing.T) {
	for name, wrap := range map[string]func(*Engine) device{
		"loses a write":                   func(e *Engine) device { return losesWrite{e} },
		"ignores flushes":                 func(e *Engine) device { return ignoresFlush{e} },
		"covers too early":                func(e *Engine) device { return coversEarly{e} },
		"forgets FUA":                     func(e *Engine) device { return forgetsFUA{e} },
		"covers by held flush":            func(e *Engine) device { return coversHeld{e} },
		"writes past the cut":             func(e *Engine) device { return writesPastCut{e} },
		"tears atoms":                     func(e *Engine) device { return tearsAtoms{e} },
		"reorders":                        func(e *Engine) device { return reorders{e} },
		"does all it is to lose":          func(e *Engine) device { return isHonest{e} },
		"loses what is to be torn":        func(e *Engine) device { return swaps{e, ActTear, ActLose} },
		"loses what is to be misdirected": func(e *Engine) device { return swaps{e, ActMisdirect, ActLose} },
		"misdirects further":              func(e *Engine) device { return misdirectsFurther{e} },
		"covers by a flush that lies":     func(e *Engine) device { return coversByLie{e} },
		"keeps what drop loses":           func(e *Engine) device { return keepsOne{e} },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(12) {
				e := open(t, Options{Size: modelSectors * SectorSize, Profile: Honest4K})
				err := runModel(wrap(e), newModel(Honest4K), seed, 40)
				e.Release() // what the run left behind
				if err != nil {
					t.Logf("seed %d finds it: %.120s", seed, err)
					return
				}
			}
			t.Error("no seed finds the bug")
		})
	}
}
