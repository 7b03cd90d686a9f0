package vm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/internal/cgroup"
	"github.com/etcdlab/etcdlab/lab"
)

// freezer stops all of a QEMU: with the control group that it is in, or, where
// there is none to be had, as for an ordinary user, with SIGSTOP. Both stop the
// processors of the guest and the requests to its disk alike; QMP's stop would
// flush the disk first.
type freezer struct {
	group *cgroup.Group // nil is SIGSTOP
}

const bySignal = "SIGSTOP"

// newFreezer makes the group of the member's QEMU if it can.
func newFreezer(labName, member string) *freezer {
	h, err := cgroup.Choose("")
	if err != nil {
		return &freezer{}
	}
	g, err := h.Create(cgroupOf(labName, member, "qemu"))
	if err != nil {
		return &freezer{}
	}
	return &freezer{group: g}
}

func (f *freezer) name() string {
	if f.group == nil {
		return bySignal
	}
	return string(f.group.Version())
}

// hold puts a QEMU under the freezer. It falls back to the signal where the
// group does not take it.
func (f *freezer) hold(pid int) {
	if f.group != nil && f.group.Join(pid) != nil {
		f.group = nil
	}
}

// freeze returns when every thread is seen frozen, or at the deadline.
func (f *freezer) freeze(ctx context.Context, pid int, deadline time.Duration) (lab.Frozen, error) {
	if f.group != nil {
		r, err := f.group.Freeze(ctx, deadline, 0)
		return lab.Frozen{Observed: r.Observed, Blocked: r.Blocked, Running: r.Running, Took: r.Took, Freezer: f.name()}, err
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		return lab.Frozen{}, fmt.Errorf("stop QEMU (process %d): %w", pid, err)
	}
	for {
		blocked, running, err := threads(pid)
		if err != nil {
			return lab.Frozen{}, err
		}
		seen := lab.Frozen{Observed: blocked == 0 && running == 0, Blocked: blocked, Running: running, Took: time.Since(start), Freezer: f.name()}
		if seen.Observed || ctx.Err() != nil {
			return seen, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Microsecond):
		}
	}
}

func (f *freezer) thaw(ctx context.Context, pid int) error {
	if f.group != nil {
		return f.group.Thaw(ctx)
	}
	if err := unix.Kill(pid, unix.SIGCONT); err != nil && err != unix.ESRCH {
		return fmt.Errorf("continue QEMU (process %d): %w", pid, err)
	}
	return nil
}

// remove ends what is in the group, and the group.
func (f *freezer) remove(ctx context.Context) error {
	if f.group == nil {
		return nil
	}
	if err := f.group.Kill(ctx); err != nil {
		return err
	}
	return f.group.Remove(ctx)
}

// threads counts those of a process that are not stopped: in uninterruptible
// I/O, and others.
func threads(pid int) (blocked, running int, err error) {
	files, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task/*/stat"))
	if err != nil {
		return 0, 0, err
	}
	if len(files) == 0 {
		return 0, 0, fmt.Errorf("look at the threads of QEMU (process %d): it has ended", pid)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // ended meanwhile
		}
		// The second field, in parentheses, may contain anything.
		_, rest, _ := strings.Cut(string(data[strings.LastIndexByte(string(data), ')')+1:]), " ")
		switch {
		case strings.HasPrefix(rest, "T"), strings.HasPrefix(rest, "t"):
		case strings.HasPrefix(rest, "D"):
			blocked++
		default:
			running++
		}
	}
	return blocked, running, nil
}
