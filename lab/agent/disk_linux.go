package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/fs"
	"github.com/etcdlab/etcdlab/disk/fuse"
	"github.com/etcdlab/etcdlab/lab"
)

// DiskDir is the directory of a fault disk's files in a member's state
// directory.
func DiskDir(stateDir string) string { return filepath.Join(stateDir, "disk") }

// machineDisk is a member's disk that can lose power and fail. Errors of its
// file system are *unmountable; a nil error of powerOn means that it is mounted
// and has etcd's directory.
type machineDisk interface {
	powerOn(ctx context.Context) (mount time.Duration, err error)
	hold(ctx context.Context, longest time.Duration) (lab.Held, error)
	// holdAt begins a hold at an operation of the disk.
	holdAt(ctx context.Context, at disk.Fault, longest time.Duration) (lab.Held, error)
	release(ctx context.Context) error
	cut(ctx context.Context) (disk.CutRecord, error)
	restore(ctx context.Context, policy disk.Policy, seed uint64) (lab.Restored, error)
	cutLog(w io.Writer) error
	setFaults(ctx context.Context, faults []disk.Fault) error
	faults() []disk.FaultState
	setProfile(ctx context.Context, profile string) error
	stats() disk.Stats
	powered() bool
	isMounted() bool
	broken() string // how this machine failed the disk
	// close takes the disk off for good. discard says that nobody needs the
	// data.
	close(ctx context.Context, discard bool) error
}

// openDisk opens the disk of the configuration's kind, without power.
func openDisk(c *Config) (machineDisk, error) {
	switch c.Disk.Kind {
	case "fault":
		return openFaultDisk(c)
	case "dm":
		return openDMDisk(c), nil
	case KindDevice:
		return openDeviceDisk(c), nil
	}
	return nil, fmt.Errorf("open the disk: this agent has no disks of kind %s", c.Disk.Kind)
}

// faultDisk is the engine, its front and the file system on it. The agent that
// serves it must never map or otherwise touch a file on it in a way that the Go
// runtime cannot pre-empt: a page fault that waits for this very process would
// stop the world for good. So it only mounts and unmounts; whatever reads the
// data runs in a process of its own.
type faultDisk struct {
	engine  *disk.Engine
	placer  *Placer
	device  *fuse.Device // nil while detached
	mounted bool
	met     atomic.Bool // failures, since it was mounted, by faults that are not armed any more
	kind    string      // of the file system
	front   string
	mount   string
	data    string           // etcd's directory
	keeper  func() *exec.Cmd // nil where no namespace ends with this process
}

func openFaultDisk(c *Config) (*faultDisk, error) {
	e, err := disk.Open(disk.Options{
		Dir: DiskDir(c.StateDir), Size: int64(c.Disk.Size), Profile: c.Disk.Profile, KeepLog: c.Disk.KeepLog,
	})
	if err != nil {
		return nil, err
	}
	d := &faultDisk{
		engine: e, kind: c.Disk.FS, data: c.DataDir,
		front: filepath.Join(c.dir, FrontDir), mount: filepath.Join(c.dir, DataMount),
	}
	d.placer = &Placer{Engine: e, Extents: func(_ context.Context, file string) ([]disk.Extent, error) { return extentsOf(d.data, file) }}
	if os.Getpid() == 1 {
		d.keeper = func() *exec.Cmd { return keeper(c) }
	}
	return d, nil
}

// powerOn attaches and mounts, which is when the file system recovers; it
// returns how long mounting took.
func (d *faultDisk) powerOn(ctx context.Context) (time.Duration, error) {
	for _, dir := range []string{d.front, d.mount} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return 0, fmt.Errorf("make a mount point: %w", err)
		}
	}
	if d.device == nil {
		device, err := fuse.Attach(ctx, d.engine, d.front)
		if err != nil {
			return 0, err
		}
		d.device = device
		if err := device.Bind(ctx); err != nil {
			return 0, err
		}
		if d.keeper != nil {
			if err := device.Keep(ctx, d.keeper()); err != nil {
				return 0, err
			}
		}
	}
	start := time.Now()
	if err := fs.Mount(ctx, d.device.Path(), d.mount, d.kind); err != nil {
		return 0, &unmountable{err}
	}
	took := time.Since(start)
	d.mounted = true
	d.met.Store(false)
	// The directory is made once; later it must be there, or the crash state
	// lost it, which etcd shall then find out by itself.
	if err := os.Mkdir(d.data, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return took, &unmountable{fmt.Errorf("make the data directory: %w", err)}
	}
	return took, nil
}

// unmountable marks the errors that are the file system's.
type unmountable struct{ error }

func (u *unmountable) Unwrap() error { return u.error }

// powerOff unmounts and detaches; with the power cut the file system's late
// writes are swallowed.
func (d *faultDisk) powerOff(ctx context.Context) error {
	d.placer.Stop(ctx)
	if d.mounted {
		if err := fs.Unmount(ctx, d.mount); err != nil {
			return err
		}
		d.mounted = false
	}
	if d.device != nil {
		if err := d.device.Detach(ctx); err != nil {
			return err
		}
		d.device = nil
	}
	return nil
}

// restore gives the disk power again in the chosen crash state. After a mount
// that failed it only tries to mount again: the state was chosen.
func (d *faultDisk) restore(ctx context.Context, policy disk.Policy, seed uint64) (lab.Restored, error) {
	var r lab.Restored
	if d.mounted && d.engine.Stats().Powered {
		return r, Conflict("restore the disk: it has power and is mounted; cut it first")
	}
	if err := d.powerOff(ctx); err != nil {
		return r, fmt.Errorf("take the disk without power off: %w", err)
	}
	if !d.engine.Stats().Powered {
		choice, err := d.engine.Restore(policy, seed)
		if err != nil {
			return r, err
		}
		r.Choice = choice
	}
	took, err := d.powerOn(ctx)
	r.Mount = took
	return r, err
}

func (d *faultDisk) hold(ctx context.Context, longest time.Duration) (lab.Held, error) {
	flushes, uncovered := d.engine.Hold(ctx, longest)
	return lab.Held{Flushes: flushes, Uncovered: uncovered}, nil
}

func (d *faultDisk) release(context.Context) error {
	d.engine.Release()
	return nil
}

func (d *faultDisk) cut(context.Context) (disk.CutRecord, error) { return d.engine.Cut(), nil }

func (d *faultDisk) cutLog(w io.Writer) error { return d.engine.WriteCutLog(w) }

func (d *faultDisk) holdAt(ctx context.Context, at disk.Fault, longest time.Duration) (lab.Held, error) {
	if err := d.placer.Moment(ctx, at.File); err != nil {
		return lab.Held{}, err
	}
	defer d.placer.Moment(ctx, "")
	return HoldAt(ctx, d.engine, at, longest)
}

// HoldAt has an engine begin a hold at an operation.
func HoldAt(ctx context.Context, e *disk.Engine, at disk.Fault, longest time.Duration) (lab.Held, error) {
	fired, flushes, uncovered, err := e.HoldAt(ctx, at, longest)
	if errors.Is(err, disk.ErrNoPower) {
		return lab.Held{}, Conflict("hold: %v", err)
	}
	return lab.Held{Fired: fired, Flushes: flushes, Uncovered: uncovered}, err
}

// setFaults arms what it can place. What frees operations that are stuck comes
// first: to place files may wait for one.
func (d *faultDisk) setFaults(ctx context.Context, faults []disk.Fault) error {
	d.met.Store(d.metFailures())
	if err := d.engine.SetFaults(nil); err != nil {
		return err
	}
	if err := d.placer.Faults(ctx, faults); err != nil {
		return fmt.Errorf("find where the files of the faults lie: %w", err)
	}
	if err := d.engine.SetFaults(faults); err != nil {
		return invalid(err)
	}
	return nil
}

// metFailures says whether the file system has met failures of its disk, after
// which it may be read-only, or not be what the disk holds, until it is mounted
// again.
func (d *faultDisk) metFailures() bool {
	return d.met.Load() || slices.ContainsFunc(d.engine.Faults(), failed)
}

func failed(f disk.FaultState) bool {
	return f.Hit > 0 && f.Action != disk.ActDelay && f.Action != disk.ActHang
}

func (d *faultDisk) setProfile(_ context.Context, profile string) error {
	if err := d.engine.SetProfile(profile); err != nil {
		return invalid(err)
	}
	return nil
}

func (d *faultDisk) faults() []disk.FaultState { return d.engine.Faults() }
func (d *faultDisk) stats() disk.Stats         { return d.engine.Stats() }
func (d *faultDisk) powered() bool             { return d.engine.Stats().Powered }
func (d *faultDisk) isMounted() bool           { return d.mounted }
func (d *faultDisk) broken() string            { return d.engine.Broken() }

func (d *faultDisk) close(ctx context.Context, discard bool) error {
	d.engine.Release()
	_ = d.engine.SetFaults(nil) // what is stuck would keep it from unmounting
	if discard {
		d.engine.Cut()
	}
	return errors.Join(d.powerOff(ctx), d.engine.Close())
}
