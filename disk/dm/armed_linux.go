package dm

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/disk"
)

// armed is a fault with what counts it.
type armed struct {
	disk.FaultState
	where region // of reads and writes
	begun counts // of flushes, which have no region
	until time.Time
	over  bool
}

// SetFaults replaces the armed faults; none heals the disk. See faultTable for
// what can be had; what cannot is an *UnsupportedError, and changes nothing.
func (d *Device) SetFaults(faults []disk.Fault) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable("arm faults"); err != nil {
		return err
	}
	table, err := faultTable(d.below, d.sectors, faults)
	if err != nil {
		return err
	}
	if len(faults) == 0 {
		table = d.healthy()
	}
	if err := d.control.Load(d.name, table); err != nil {
		if needsErrorReads(table) && errors.Is(err, unix.EINVAL) {
			err = &UnsupportedError{"a fault of reads alone", "this kernel's dm-flakey knows no error_reads, which Linux has from 6.5 on: arm a write fault with the same range, too (a bad sector)"}
		}
		return err
	}
	// The counters begin while nothing gets through: the first operation that
	// fails may be the last that is tried.
	if err := d.hold(); err != nil {
		return err
	}
	if err := errors.Join(d.disarm(), d.arm(faults)); err != nil {
		return errors.Join(err, d.release())
	}
	if err := d.release(); err != nil {
		return err
	}
	d.wind()
	return nil
}

// arm begins to count for the faults.
func (d *Device) arm(faults []disk.Fault) error {
	now, err := d.count()
	if err != nil {
		return err
	}
	for _, f := range faults {
		a := armed{FaultState: disk.FaultState{Fault: f}, begun: now}
		if f.Op != disk.OpFlush {
			from, to := span(f, d.sectors)
			if a.where, err = d.newRegion(from, to); err != nil {
				return err
			}
		}
		if f.For > 0 {
			a.until = time.Now().Add(f.For)
		}
		d.faults = append(d.faults, a)
	}
	return nil
}

// disarm forgets the faults; the table is the caller's.
func (d *Device) disarm() error {
	if d.expiry != nil {
		d.expiry.Stop()
		d.expiry = nil
	}
	var errs error
	for _, a := range d.faults {
		if a.where.id != "" {
			errs = errors.Join(errs, d.removeRegion(a.where))
		}
	}
	d.faults = nil
	return errs
}

// wind sets the clock for the next fault that ends.
func (d *Device) wind() {
	var next time.Time
	for _, a := range d.faults {
		if !a.over && !a.until.IsZero() && (next.IsZero() || a.until.Before(next)) {
			next = a.until
		}
	}
	if next.IsZero() {
		return
	}
	d.expiry = time.AfterFunc(time.Until(next), d.expire)
}

// expire heals what has lasted long enough.
func (d *Device) expire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	states := d.states()
	for i := range d.faults {
		a := &d.faults[i]
		if !a.over && !a.until.IsZero() && !time.Now().Before(a.until) {
			a.over, a.FaultState = true, states[i]
		}
	}
	// A disk without power gets its table at Restore. Where the swap fails, the
	// fault lasts until it is healed, which is seen in its count.
	if d.powered && !d.held {
		_ = d.swap(d.faulty())
	}
	d.wind()
}

// faulty is the table of a powered disk with the faults that last.
func (d *Device) faulty() Table {
	var last []disk.Fault
	for _, a := range d.faults {
		if !a.over {
			last = append(last, a.Fault)
		}
	}
	if len(last) == 0 {
		return d.healthy()
	}
	t, err := faultTable(d.below, d.sectors, last)
	if err != nil {
		// What is left of faults that go together may not go alone.
		return d.healthy()
	}
	return t
}

// Faults gives the armed faults with what each did. Every operation that meets
// a fault fails. Counted are reads and writes that touched its range, and for a
// flush fault the flushes; but not what the targets error and error_reads end:
// the kernel counts an operation only once a target has taken it.
func (d *Device) Faults() []disk.FaultState {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.states()
}

func (d *Device) states() []disk.FaultState {
	out := make([]disk.FaultState, 0, len(d.faults))
	for _, a := range d.faults {
		if n, err := d.hits(a); !a.over && err == nil && !d.closed {
			a.Matched, a.Hit = n, n
		}
		out = append(out, a.FaultState)
	}
	return out
}

func (d *Device) hits(a armed) (uint64, error) {
	if a.over {
		return a.Hit, nil
	}
	if a.Op == disk.OpFlush {
		c, err := d.count()
		return c.since(a.begun).flushes, err
	}
	c, err := d.countRegion(a.where)
	switch a.Op {
	case disk.OpRead:
		return c.reads, err
	case disk.OpWrite:
		return c.writes, err
	}
	return 0, fmt.Errorf("operation %q is not counted", a.Op)
}
