package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/dm"
	"github.com/etcdlab/etcdlab/disk/fs"
	"github.com/etcdlab/etcdlab/internal/kmod"
	"github.com/etcdlab/etcdlab/lab"
)

// dmDisk is a file system on a device of the kernel's device mapper, over a block
// device of this machine: a guest's disk, a spare device of a host. The machine
// and its kernel stay when its power is cut.
type dmDisk struct {
	member  string
	options dm.Options
	device  *dm.Device // nil while it is not made
	mounted bool
	kind    string // of the file system
	mount   string
	data    string // etcd's directory
}

// dmName is the device's name, which is the machine's: unlike a member's it may
// have no other dots and slashes.
func dmName(labName, member string) string { return dm.Prefix + labName + "." + member }

func openDMDisk(c *Config) *dmDisk {
	d := &dmDisk{
		member: c.Member, kind: c.Disk.FS, mount: filepath.Join(c.dir, DataMount), data: c.DataDir,
		options: dm.Options{Name: dmName(c.Lab, c.Member), Device: cmp.Or(c.Device, GuestDevice)},
	}
	if c.Disk.KeepLog {
		d.options.LogDevice = cmp.Or(c.LogDevice, GuestLogDevice)
	}
	return d
}

func (d *dmDisk) powerOn(ctx context.Context) (time.Duration, error) {
	if d.device == nil {
		loadMapper()
		device, err := dm.Open(ctx, d.options)
		if err != nil {
			return 0, fmt.Errorf("make the disk of %s: %w", d.member, err)
		}
		d.device = device
	}
	if !d.device.Powered() {
		// Another agent cut it and was killed. What it lost is lost.
		if _, err := d.device.Restore(disk.Drop, 0); err != nil {
			return 0, err
		}
	}
	if err := os.MkdirAll(d.mount, 0o700); err != nil {
		return 0, fmt.Errorf("make a mount point: %w", err)
	}
	start := time.Now()
	if err := fs.Mount(ctx, d.device.Path(), d.mount, d.kind); err != nil {
		return 0, &unmountable{err}
	}
	took := time.Since(start)
	d.mounted = true
	if os.Getpid() == 1 {
		say(fmt.Sprintf("disk mounted in %v", took.Round(time.Microsecond)))
	}
	// The directory is made once; later it must be there, or the crash state
	// lost it, which etcd shall then find out by itself.
	if err := os.Mkdir(d.data, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return took, &unmountable{fmt.Errorf("make the data directory: %w", err)}
	}
	return took, nil
}

// loadMapper loads device mapper where this is a guest. What cannot be loaded is
// found to be missing, or part of the kernel.
func loadMapper() {
	for _, module := range []string{"dm_mod", "dm_flakey", "dm_log_writes", "dm_delay"} {
		_ = kmod.Load(module)
	}
}

func (d *dmDisk) hold(ctx context.Context, longest time.Duration) (lab.Held, error) {
	return lab.Held{Untold: true}, d.device.Hold(ctx, longest)
}

func (d *dmDisk) holdAt(context.Context, disk.Fault, time.Duration) (lab.Held, error) {
	return lab.Held{}, &lab.UnsupportedError{Member: d.member, Capability: "EventHolder", Reason: LacksOf("dm", "")["EventHolder"]}
}

func (d *dmDisk) release(context.Context) error { return d.device.Release() }

func (d *dmDisk) cut(context.Context) (disk.CutRecord, error) {
	if d.device == nil {
		return disk.CutRecord{}, nil // it was never made: nothing has power
	}
	return d.device.Cut()
}

// restore unmounts and heals. After a mount that failed it only tries to mount
// again.
func (d *dmDisk) restore(ctx context.Context, policy disk.Policy, seed uint64) (lab.Restored, error) {
	var r lab.Restored
	if err := disk.CheckPolicy(policy); err != nil {
		return r, invalid(err)
	}
	if policy != disk.Drop {
		return r, &lab.UnsupportedError{Member: d.member, Capability: "PowerCutter",
			Reason: fmt.Sprintf("its disk is device mapper's, which keeps nothing of the writes that a cut drops: policy %s needs disk: {kind: fault}", policy)}
	}
	powered := d.powered()
	if d.mounted && powered {
		return r, Conflict("restore the disk: it has power and is mounted; cut it first")
	}
	if !powered {
		if err := d.device.Unmounting(); err != nil {
			return r, err
		}
	}
	if err := d.unmount(ctx); err != nil {
		return r, fmt.Errorf("take the disk without power off: %w", err)
	}
	if !powered {
		choice, err := d.device.Restore(policy, seed)
		if err != nil {
			return r, err
		}
		r.Choice = choice
	}
	took, err := d.powerOn(ctx)
	r.Mount = took
	return r, err
}

func (d *dmDisk) unmount(ctx context.Context) error {
	if !d.mounted {
		return nil
	}
	if err := fs.Unmount(ctx, d.mount); err != nil {
		return err
	}
	d.mounted = false
	return nil
}

func (d *dmDisk) cutLog(w io.Writer) error {
	if d.options.LogDevice == "" {
		return &lab.UnsupportedError{Member: d.member, Capability: "PowerCutter",
			Reason: "its disk records no write log; use disk: {kind: dm, keepLog: true}"}
	}
	return d.device.WriteCutLog(w)
}

func (d *dmDisk) setFaults(_ context.Context, faults []disk.Fault) error {
	if d.device == nil {
		return Conflict("arm disk faults: the disk was not made")
	}
	err := d.device.SetFaults(faults)
	var u *dm.UnsupportedError
	switch {
	case errors.As(err, &u):
		return &lab.UnsupportedError{Member: d.member, Capability: "DiskFaulter", Reason: u.Error()}
	case err != nil && !d.device.Powered():
		return Conflict("%v", err)
	case err != nil:
		return invalid(err)
	}
	return nil
}

func (d *dmDisk) faults() []disk.FaultState {
	if d.device == nil {
		return nil
	}
	return d.device.Faults()
}

func (d *dmDisk) setProfile(context.Context, string) error {
	return &lab.UnsupportedError{Member: d.member, Capability: "DiskFaulter",
		Reason: "its disk is device mapper's, which has no profiles; use disk: {kind: fault}"}
}

// stats leaves out what cannot be read: the device may just be going.
func (d *dmDisk) stats() disk.Stats {
	if d.device == nil {
		return disk.Stats{Profile: dm.ProfileName}
	}
	s, _ := d.device.Stats()
	return s
}

func (d *dmDisk) powered() bool   { return d.device != nil && d.device.Powered() }
func (d *dmDisk) isMounted() bool { return d.mounted }
func (d *dmDisk) broken() string  { return "" }

func (d *dmDisk) close(ctx context.Context, discard bool) error {
	if d.device == nil {
		return nil
	}
	err := d.device.Release()
	if discard {
		_, cutErr := d.device.Cut()
		err = errors.Join(err, cutErr)
	}
	if err := errors.Join(err, d.unmount(ctx)); err != nil {
		return err
	}
	return d.device.Close(ctx)
}
