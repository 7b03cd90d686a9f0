package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/fs"
	"github.com/etcdlab/etcdlab/lab"
)

// deviceDisk is a block device that the agent only mounts: whoever is its power
// supply is outside of this machine.
type deviceDisk struct {
	member  string
	device  string
	kind    string // of the file system
	mount   string
	data    string // etcd's directory
	mounted bool
}

func openDeviceDisk(c *Config) *deviceDisk {
	return &deviceDisk{member: c.Member, device: GuestDevice, kind: c.Disk.FS, mount: filepath.Join(c.dir, DataMount), data: c.DataDir}
}

func (d *deviceDisk) powerOn(ctx context.Context) (time.Duration, error) {
	if err := os.MkdirAll(d.mount, 0o700); err != nil {
		return 0, fmt.Errorf("make a mount point: %w", err)
	}
	start := time.Now()
	if err := fs.Mount(ctx, d.device, d.mount, d.kind); err != nil {
		return 0, &unmountable{err}
	}
	took := time.Since(start)
	d.mounted = true
	say(fmt.Sprintf("disk mounted in %v", took.Round(time.Microsecond)))
	// The directory is made once; later it must be there, or the crash state
	// lost it, which etcd shall then find out by itself.
	if err := os.Mkdir(d.data, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return took, &unmountable{fmt.Errorf("make the data directory: %w", err)}
	}
	return took, nil
}

func (d *deviceDisk) close(ctx context.Context, _ bool) error {
	if !d.mounted {
		return nil
	}
	if err := fs.Unmount(ctx, d.mount); err != nil {
		return err
	}
	d.mounted = false
	return nil
}

func (d *deviceDisk) lacks() error {
	return &lab.UnsupportedError{Member: d.member, Capability: "PowerCutter", Reason: "its disk's power is outside of its machine"}
}

func (d *deviceDisk) hold(context.Context, time.Duration) (lab.Held, error) {
	return lab.Held{}, d.lacks()
}
func (d *deviceDisk) holdAt(context.Context, disk.Fault, time.Duration) (lab.Held, error) {
	return lab.Held{}, d.lacks()
}
func (d *deviceDisk) release(context.Context) error { return d.lacks() }
func (d *deviceDisk) cut(context.Context) (disk.CutRecord, error) {
	return disk.CutRecord{}, d.lacks()
}
func (d *deviceDisk) restore(context.Context, disk.Policy, uint64) (lab.Restored, error) {
	return lab.Restored{}, d.lacks()
}
func (d *deviceDisk) cutLog(io.Writer) error                        { return d.lacks() }
func (d *deviceDisk) setFaults(context.Context, []disk.Fault) error { return d.lacks() }
func (d *deviceDisk) faults() []disk.FaultState                     { return nil }
func (d *deviceDisk) setProfile(context.Context, string) error      { return d.lacks() }
func (d *deviceDisk) stats() disk.Stats                             { return disk.Stats{Powered: true} }
func (d *deviceDisk) powered() bool                                 { return true }
func (d *deviceDisk) isMounted() bool                               { return d.mounted }
func (d *deviceDisk) broken() string                                { return "" }
