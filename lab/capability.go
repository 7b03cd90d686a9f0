package lab

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/etcdlab/etcdlab/disk"
)

// The capabilities. A member has one when it implements the interface and, if
// it has a method Lacks(capability) that gives a reason, gives none.

// Runner starts and ends etcd.
type Runner interface {
	// Start starts etcd if it does not run.
	Start(ctx context.Context) error
	// Stop ends etcd with SIGTERM and, past a deadline, SIGKILL; it waits.
	Stop(ctx context.Context) error
	// Kill ends etcd with SIGKILL, thawing it if need be, and waits until it
	// is reaped.
	Kill(ctx context.Context) error
}

// Frozen is what Freeze saw.
type Frozen struct {
	Observed bool          `json:"observed"` // every task of etcd was seen frozen
	Blocked  int           `json:"blocked"`  // tasks in uninterruptible I/O, if not
	Running  int           `json:"running"`  // tasks that were still free to run at the deadline
	Took     time.Duration `json:"took"`
	Freezer  string        `json:"freezer"` // v1, v2, or stop: by SIGSTOP
}

// Pauser freezes etcd in its cgroup: nothing of it runs.
type Pauser interface {
	// Freeze returns when etcd is seen frozen, or when all of its tasks that
	// are not frozen are blocked in I/O, or at the deadline (Observed false).
	Freeze(ctx context.Context, deadline time.Duration) (Frozen, error)
	Thaw(ctx context.Context) error
}

// Linker takes the member's network link down and up, without a packet to say
// goodbye.
type Linker interface {
	SetLink(ctx context.Context, up bool) error
}

// Held is what Hold reached.
type Held struct {
	Flushes   int           `json:"flushes"`   // flushes in flight, held back
	Uncovered int           `json:"uncovered"` // writes that no completed flush covers
	Took      time.Duration `json:"took"`
	// Untold is set where the disk holds everything back and does not tell how
	// much: device mapper.
	Untold bool `json:"untold,omitempty"`
	// Fired says, of HoldAt, that the moment came.
	Fired bool `json:"fired,omitempty"`
}

// Restored is a disk with power again.
type Restored struct {
	Choice disk.Choice   `json:"choice"`
	Mount  time.Duration `json:"mount"` // the file system's own recovery
}

// PowerCutter cuts the power of the member's disk. The order of a power loss
// is the caller's: Hold, Freeze, SetLink, Cut, Kill, Restore, SetLink, Start.
type PowerCutter interface {
	// Hold lets no flush complete from now on, so that the instant of the cut
	// finds writes in flight; it returns at the first flush held back with a
	// write that it would have covered, or after max.
	Hold(ctx context.Context, max time.Duration) (Held, error)
	// Release ends a Hold that no cut will follow.
	Release(ctx context.Context) error
	// Cut takes the disk's power: from here nothing persists.
	Cut(ctx context.Context) (disk.CutRecord, error)
	// Restore unmounts, chooses the crash state, attaches and mounts again.
	// A file system that does not mount is an *UnmountableError.
	Restore(ctx context.Context, policy disk.Policy, seed uint64) (Restored, error)
	// CutLog writes the last cut's part of the write log, in the format of
	// dm-log-writes: the epoch that no flush covered, and what led to it.
	CutLog(ctx context.Context, w io.Writer) error
}

// UnmountableError says that a disk's file system did not survive a cut.
type UnmountableError struct {
	Member string
	Reason string
	Choice disk.Choice // the crash state that it did not survive
}

func (e *UnmountableError) Error() string {
	return fmt.Sprintf("mount the disk of %s after the cut: %s", e.Member, e.Reason)
}

// DiskFaulter makes the member's powered disk fail.
type DiskFaulter interface {
	// SetDiskFaults replaces the armed faults; none heals the disk.
	SetDiskFaults(ctx context.Context, faults []disk.Fault) error
	// DiskFaults gives the armed faults with the times each was hit.
	DiskFaults(ctx context.Context) ([]disk.FaultState, error)
	SetDiskProfile(ctx context.Context, profile string) error
	DiskStats(ctx context.Context) (disk.Stats, error)
}

// Archiver copies the member's data directory.
type Archiver interface {
	// Archive writes a tar of the data directory as it is now, taken while
	// etcd is frozen or stopped: what a SIGKILL would leave. how is "frozen"
	// or "stopped".
	Archive(ctx context.Context, w io.Writer) (how string, err error)
}

// UnsupportedError is the typed skip: this member cannot do that here.
type UnsupportedError struct {
	Member     string
	Capability string
	Reason     string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s lacks the capability %s: %s", e.Member, e.Capability, e.Reason)
}

// Can returns the member as the capability C, or an *UnsupportedError.
func Can[C any](m Member) (C, error) {
	name := capabilityName[C]()
	c, ok := m.(C)
	if !ok {
		return c, &UnsupportedError{m.Name(), name, without(name)}
	}
	if l, ok := m.(interface {
		Lacks(capability string) string
	}); ok {
		if reason := l.Lacks(name); reason != "" {
			return c, &UnsupportedError{m.Name(), name, reason}
		}
	}
	return c, nil
}

// without says why a provider has no such thing, and which has.
func without(capability string) string {
	switch capability {
	case "Console":
		return "only virtual machines have a serial console; use provider vm, or etcdlab logs for what etcd says"
	case "HostCrasher":
		return "only virtual machines can crash as a whole; use provider vm"
	}
	return "its provider has no " + capability
}

// capabilityName is the interface's bare name: "PowerCutter".
func capabilityName[C any]() string {
	s := fmt.Sprintf("%T", (*C)(nil))
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '.' {
			return s[i+1:]
		}
	}
	return s
}
