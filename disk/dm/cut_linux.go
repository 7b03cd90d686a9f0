package dm

import (
	"context"
	"fmt"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/internal/blockio"
)

// Hold lets no operation through from now on: what is in flight ends, what
// comes waits in the kernel. How much waits device mapper does not say, so this
// takes as long as it may, for whoever writes to come to it.
func (d *Device) Hold(ctx context.Context, limit time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable("hold the operations"); err != nil {
		return err
	}
	if err := d.hold(); err != nil {
		return err
	}
	select {
	case <-time.After(limit):
	case <-ctx.Done():
	}
	return nil
}

// Release lets held operations go on, as if nothing had been.
func (d *Device) Release() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	return d.release()
}

// settle bounds the wait for held writes to be swallowed; quiet is for how long
// none may have been.
const (
	settle = 2 * time.Second
	quiet  = 50 * time.Millisecond
)

// Cut takes the disk's power: what waits and what comes succeeds and is lost.
// Reads still answer, from what reached the disk.
//
// Uncovered is what the cut itself swallowed: the writes that waited at that
// moment. Position counts the entries of the log, if there is one. A second cut
// returns what the first did.
func (d *Device) Cut() (disk.CutRecord, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return d.cut, fmt.Errorf("cut the power of %s: it is closed", d.name)
	}
	if !d.powered {
		return d.cut, nil
	}
	drop := d.Whole(Flakey{Dev: d.below, Down: Always, DropWrites: true})
	if err := d.control.Load(d.name, drop); err != nil {
		return d.cut, err
	}
	if err := d.hold(); err != nil {
		return d.cut, err
	}
	at, err := d.count()
	if err != nil {
		return d.cut, err
	}
	since := at.since(d.base)
	d.cut = disk.CutRecord{Writes: since.writes, Flushes: since.flushes}
	if d.logDevice != "" {
		if s, err := d.logStatus(); err == nil {
			d.cut.Position = s.Entries
		}
	}
	if err := d.release(); err != nil {
		return d.cut, err
	}
	d.powered, d.base, d.lost = false, at, nil
	d.cut.Uncovered, d.cut.Held, err = d.swallowed(settle)
	return d.cut, err
}

// swallowed counts the writes and the flushes that were lost since the cut, once
// there come no more, or at the limit.
func (d *Device) swallowed(limit time.Duration) (writes, flushes int, err error) {
	var last counts
	for stop, since := time.Now().Add(limit), time.Now(); ; time.Sleep(time.Millisecond) {
		now, err := d.count()
		if err != nil {
			return 0, 0, err
		}
		if now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) >= quiet || time.Now().After(stop) {
			lost := now.since(d.base)
			return int(lost.writes), int(lost.flushes), nil
		}
	}
}

// Unmounting notes what was lost so far, for Restore to tell: what comes later is
// the unmount's own.
func (d *Device) Unmounting() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.powered || d.lost != nil {
		return nil
	}
	n, _, err := d.swallowed(settle)
	if err == nil {
		d.lost = &n
	}
	return err
}

// Restore gives the disk power again: it holds what reached it before the cut.
// The choice counts the writes that came after it and before Unmounting was
// called, if it was: each was swallowed. Every policy but drop is an *UnsupportedError: nothing of
// what is lost was kept. Unmount first.
func (d *Device) Restore(policy disk.Policy, seed uint64) (disk.Choice, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := disk.Choice{Policy: policy, Seed: seed}
	if err := disk.CheckPolicy(policy); err != nil {
		return c, err
	}
	if d.closed || d.powered {
		return c, fmt.Errorf("restore %s: it has power: cut it first", d.name)
	}
	if policy != disk.Drop {
		return c, &UnsupportedError{"the cut policy " + string(policy),
			"it keeps nothing of the writes that it drops: use drop, or replay a log that log-writes recorded"}
	}
	if err := blockio.DropCache(d.path); err != nil {
		return c, err
	}
	var err error
	if d.lost != nil {
		c.Uncovered = *d.lost
	} else if c.Uncovered, _, err = d.swallowed(0); err != nil {
		return c, err
	}
	c.Dropped = c.Uncovered
	// A log begins anew with its target. One that cannot be read, as its device
	// was too small, keeps nobody from the disk.
	d.cutLog, d.cutLogErr = d.readCutLog()
	if err := d.swap(d.faulty()); err != nil {
		return c, err
	}
	d.powered = true
	d.base, err = d.count()
	return c, err
}

// Powered says whether the disk has power.
func (d *Device) Powered() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.powered
}

// Stats are counters since the device was opened.
func (d *Device) Stats() (disk.Stats, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := disk.Stats{Powered: d.powered, Profile: ProfileName}
	if d.closed {
		return s, nil
	}
	c, err := d.count()
	if err != nil {
		return s, err
	}
	s.Reads, s.Writes, s.Flushes, s.BytesRead, s.BytesWritten = c.reads, c.writes, c.flushes, c.bytesRead, c.bytesWrote
	if !d.powered {
		s.Uncovered = int(c.since(d.base).writes)
	}
	for _, a := range d.states() {
		s.Errors += a.Hit
	}
	if d.logDevice != "" && d.powered {
		if l, err := d.logStatus(); err == nil {
			s.LogBytes = int64(l.End+1) * Sector
		}
	}
	return s, nil
}
