// Package conformance owns the tests that every front of a disk must pass. They
// go through the device that the front shows, wherever it is, and through
// nothing else but what makes the disk fail. A capability that a front lacks is a
// test that is skipped with the front's reason, and what came of each is written
// down, so that a table of what fronts can do is what was seen, not what was
// meant.
package conformance

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/internal/blockio"
)

// Device is the disk as its user sees it.
type Device = blockio.Device

// Front is a disk that is attached and powered. It has every capability but
// those that Lacks gives a reason for; what only a lacking one needs is nil.
type Front struct {
	// Open opens the device, so that an operation has reached the disk when it
	// returns. One that is open stays usable over a restore.
	Open func() (Device, error)
	// OpenCached opens it through the cache of the kernel that has it. Nil is
	// a front without such a cache, of which nothing can be stale.
	OpenCached func() (Device, error)
	Size       int64 // bytes, at least 16 MiB
	Atom       int64 // bytes that a torn write may not divide
	// Cut takes the power, Restore gives it back with a crash state.
	Cut     func() disk.CutRecord
	Restore func(policy disk.Policy, seed uint64) (disk.Choice, error)
	// Hold holds flushes back, Release lets them go.
	Hold    func(ctx context.Context, limit time.Duration) (flushes, uncovered int)
	Release func()
	// HoldAt holds flushes back from an operation on.
	HoldAt func(ctx context.Context, at disk.Fault, limit time.Duration) (fired bool, flushes, uncovered int, err error)
	// SetFaults makes operations fail, Faults tells what that did.
	SetFaults func([]disk.Fault) error
	Faults    func() []disk.FaultState
	// Log is the write log of the device, complete, since it read all zero.
	Log   func() (*disk.Log, error)
	Lacks map[Capability]string // and why
}

// OnEngine is a front of an engine, without a way to open it.
func OnEngine(e *disk.Engine) *Front {
	return &Front{
		Size: e.Size(), Atom: disk.BlockSize(e.Profile()),
		Cut: e.Cut, Restore: e.Restore, Hold: e.Hold, Release: e.Release, SetFaults: e.SetFaults,
		Faults: e.Faults, HoldAt: e.HoldAt,
		Log: func() (*disk.Log, error) { return engineLog(e) },
	}
}

// UseBlockDevice makes a block device of this machine the front's. Its path has
// to stay the same over a restore.
func (f *Front) UseBlockDevice(path string) *Front {
	f.Open = func() (Device, error) { return blockio.Open(path) }
	f.OpenCached = func() (Device, error) { return blockio.OpenCached(path) }
	return f
}

// ServeDevice serves the block device at path to a RemoteDevice at the other end
// of r and w: what a helper on another machine runs.
func ServeDevice(path string, throughCache bool, r io.Reader, w io.Writer) error {
	return blockio.ServeFile(path, throughCache, r, w)
}

// RemoteDevice is the device that ServeDevice serves at the other end.
func RemoteDevice(r io.Reader, w io.WriteCloser) (Device, error) { return blockio.Remote(r, w) }

// DeviceOver is the device that a command serves with ServeDevice at its
// standard input and output. Closing it ends the command.
func DeviceOver(ctx context.Context, run blockio.Exec) (Device, error) { return blockio.Over(ctx, run) }

// Factory attaches a new disk for one test, whose cleanup removes it.
type Factory func(t testing.TB) *Front
