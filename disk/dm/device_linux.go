package dm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/disk"
)

// Options of a device.
type Options struct {
	Device    string // the block device below: a real one or a loop device
	Name      string // of the new one, beginning with Prefix
	LogDevice string // where every write is recorded; "" is nowhere
}

// Device is a block device whose table is moved while it is in use. Every move
// is made under a suspend without a flush and without the file system's lock:
// what is in flight ends first, what comes waits, and the file system above
// notices nothing.
type Device struct {
	control    *Control
	name       string
	logDevice  string
	dev        Number
	below, log Number
	sectors    uint64
	path       string
	whole      region
	statBase   uint64

	mu        sync.Mutex
	held      bool // suspended
	powered   bool
	closed    bool
	cut       disk.CutRecord
	cutLog    []byte // of the last cut, for WriteCutLog, or
	cutLogErr error  // why there is none
	base      counts // at power-on, and after a cut, at the cut
	lost      *int   // writes that a cut swallowed before the unmount, if noted
	faults    []armed
	expiry    *time.Timer
}

// Open makes the device, or takes over one of that name that a process left
// which was killed; a cut that it made is not undone.
func Open(ctx context.Context, o Options) (d *Device, err error) {
	if err := checkName(o.Name); err != nil {
		return nil, err
	}
	control, err := OpenControl()
	if err != nil {
		return nil, err
	}
	d = &Device{control: control, name: o.Name, logDevice: o.LogDevice, powered: true}
	defer func() {
		if err != nil {
			d = nil
			err = errors.Join(err, control.Close())
		}
	}()
	if err := d.findBelow(o); err != nil {
		return d, err
	}
	info, err := control.Info(o.Name)
	switch {
	case errors.Is(err, unix.ENXIO):
		if d.dev, err = control.Create(o.Name); err != nil {
			return d, err
		}
		err = d.swap(d.healthy())
	case err == nil:
		d.dev = info.Dev
		err = d.adopt(info)
	}
	if err == nil {
		err = d.prepare()
	}
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return d, errors.Join(err, control.Remove(undo, o.Name))
	}
	return d, nil
}

func (d *Device) findBelow(o Options) (err error) {
	targets := []string{"linear", "flakey", "error"}
	if d.below, d.sectors, err = sizeOf(o.Device); err != nil {
		return err
	}
	if o.LogDevice != "" {
		targets = append(targets, "log-writes")
		if d.log, _, err = sizeOf(o.LogDevice); err != nil {
			return err
		}
	}
	return d.control.Need(targets...)
}

// adopt takes a device over as it is: a hold ends, a cut stays.
func (d *Device) adopt(info Info) error {
	d.held = info.Suspended
	lines, err := d.control.Lines(d.name)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if t, err := ParseTarget(l.Type, l.Text); err == nil {
			if f, ok := t.(Flakey); ok && f.DropWrites {
				d.powered = false
			}
		}
	}
	if !d.powered {
		return d.release()
	}
	return d.swap(d.healthy())
}

// prepare makes the node and begins to count.
func (d *Device) prepare() (err error) {
	if d.path, err = nodeOf(d.name, d.dev); err != nil {
		return err
	}
	if err := d.removeRegions(); err != nil {
		return err
	}
	b, err := os.ReadFile(fmt.Sprintf("/sys/block/dm-%d/stat", d.dev.Minor))
	if err != nil {
		return err
	}
	if _, d.statBase, err = parseStat(string(b)); err != nil {
		return err
	}
	if d.whole, err = d.newRegion(0, d.sectors); err != nil {
		return err
	}
	d.base, err = d.count()
	return err
}

// sizeOf is a block device's number and its sectors.
func sizeOf(path string) (Number, uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return Number{}, 0, fmt.Errorf("open the device below: %w", err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return Number{}, 0, fmt.Errorf("look at %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return Number{}, 0, fmt.Errorf("%s is no block device: attach the file to a loop device first", path)
	}
	size, err := f.Seek(0, 2)
	if err != nil {
		return Number{}, 0, fmt.Errorf("find the size of %s: %w", path, err)
	}
	return Number{unix.Major(st.Rdev), unix.Minor(st.Rdev)}, uint64(size) / Sector, nil
}

// Path is the block device.
func (d *Device) Path() string { return d.path }

// Size is in bytes.
func (d *Device) Size() int64 { return int64(d.sectors) * Sector }

// Below is the device that a table is to name.
func (d *Device) Below() Number { return d.below }

// Whole is a table of one segment.
func (d *Device) Whole(t Target) Table { return Table{{0, d.sectors, t}} }

// healthy is the table of a disk that does as it is told.
func (d *Device) healthy() Table {
	if d.logDevice != "" {
		return d.Whole(LogWrites{d.below, d.log})
	}
	return d.Whole(Linear{Dev: d.below})
}

// swap puts a table in place. It is loaded first, so that a table that the
// kernel refuses changes nothing and the suspend is short.
func (d *Device) swap(t Table) error {
	if err := d.control.Load(d.name, t); err != nil {
		return err
	}
	if err := d.hold(); err != nil {
		return err
	}
	return d.release()
}

func (d *Device) hold() error {
	if d.held {
		return nil
	}
	if err := d.control.Suspend(d.name); err != nil {
		return err
	}
	d.held = true
	return nil
}

func (d *Device) release() error {
	if !d.held {
		return nil
	}
	if err := d.control.Resume(d.name); err != nil {
		return err
	}
	d.held = false
	return nil
}

// SetTable puts any table in place, until Heal: flakey with its intervals or
// corruption, or delay. The armed faults are forgotten.
func (d *Device) SetTable(t Table) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable("change the table"); err != nil {
		return err
	}
	if err := d.disarm(); err != nil {
		return err
	}
	return d.swap(t)
}

// Heal makes the disk do as it is told again.
func (d *Device) Heal() error { return d.SetTable(d.healthy()) }

func (d *Device) usable(what string) error {
	switch {
	case d.closed:
		return fmt.Errorf("%s of %s: it is closed: open it again", what, d.name)
	case !d.powered:
		return fmt.Errorf("%s of %s: it has no power: restore it first", what, d.name)
	}
	return nil
}

// Close removes the device, which nothing may have mounted any more. It may be
// called again.
func (d *Device) Close(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	// Whatever waits here would never end. ENXIO: somebody has swept it away.
	if err := d.release(); err != nil && !errors.Is(err, unix.ENXIO) {
		return err
	}
	if d.expiry != nil {
		d.expiry.Stop()
	}
	if err := d.control.Remove(ctx, d.name); err != nil {
		return err
	}
	d.closed = true
	return d.control.Close()
}

// String is the table as it is.
func (d *Device) String() string {
	lines, err := d.control.Lines(d.name)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%d %d %s %s\n", l.Start, l.Length, l.Type, l.Text)
	}
	return b.String()
}
