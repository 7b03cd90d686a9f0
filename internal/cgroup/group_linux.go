package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// poll is how often the state of a group is looked at while waiting for it to
// change: well below what a round of power loss takes.
const poll = 500 * time.Microsecond

// Group is one control group and what is below it.
type Group struct {
	version Version
	dir     string   // "" of version Stop
	stop    *stopped // of version Stop
}

// Version of the hierarchy the group is in.
func (g *Group) Version() Version { return g.version }

// ProcsFile is the file that a process writes its PID to in order to join.
func (g *Group) ProcsFile() string { return filepath.Join(g.dir, "cgroup.procs") }

// Open gives the directory, for clone3's CLONE_INTO_CGROUP (v2 only).
func (g *Group) Open() (*os.File, error) { return os.Open(g.dir) }

// Join moves the process into the group.
func (g *Group) Join(pid int) error {
	if err := os.WriteFile(g.ProcsFile(), []byte(strconv.Itoa(pid)), 0); err != nil {
		return fmt.Errorf("move process %d to cgroup %s: %w", pid, g.dir, err)
	}
	return nil
}

// Procs lists the processes of the group and of all below it; a group that does
// not exist has none.
func (g *Group) Procs() ([]int, error) {
	if g.stop != nil {
		return g.stop.procs()
	}
	var pids []int
	err := g.walk(func(dir string) error {
		data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if gone(err) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, f := range strings.Fields(string(data)) {
			if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list processes of cgroup %s: %w", g.dir, err)
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// Thaw lets the processes of the group run again, and waits until the kernel
// says so.
func (g *Group) Thaw(ctx context.Context) error {
	for {
		err := g.write(false)
		if gone(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("thaw cgroup %s: %w", g.dir, err)
		}
		if done, err := g.thawed(); err != nil || done {
			return err
		}
		if err := pause(ctx, poll); err != nil {
			return fmt.Errorf("thaw cgroup %s: %w", g.dir, err)
		}
	}
}

// Signal sends the signal to every process of the group and below, and waits
// for nothing.
func (g *Group) Signal(signal unix.Signal) error {
	pids, err := g.Procs()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, signal); err != nil && err != unix.ESRCH {
			return fmt.Errorf("signal process %d of cgroup %s: %w", pid, g.dir, err)
		}
	}
	return nil
}

// Kill ends every process of the group and below with SIGKILL and waits until
// none is left, reaped by whoever is its parent. Under the v1 freezer a frozen
// process dies only once thawed, so it is thawed after the signal: nothing of
// it runs in between, as the signal comes first.
//
// It does not use cgroup.kill: on Linux 6.18 what is later cloned into the same
// group (CLONE_INTO_CGROUP) from outside is killed at birth, as the group's
// count of kills is then not that of the parent's group. Signalling again until
// none is left also gets what forks meanwhile.
func (g *Group) Kill(ctx context.Context) error {
	for {
		pids, err := g.Procs()
		if err != nil || len(pids) == 0 {
			return err
		}
		if err := g.Signal(unix.SIGKILL); err != nil {
			return err
		}
		if err := g.thawAll(ctx); err != nil {
			return err
		}
		if err := pause(ctx, poll); err != nil {
			return fmt.Errorf("kill cgroup %s: processes %v do not end (uninterruptible I/O?): %w", g.dir, pids, err)
		}
	}
}

func (g *Group) thawAll(ctx context.Context) error {
	if g.stop != nil {
		return nil // SIGKILL ends what is stopped, too
	}
	return g.walk(func(dir string) error {
		return (&Group{version: g.version, dir: dir}).Thaw(ctx)
	})
}

// Remove removes the group and all below it. Processes must be gone; one that
// is not yet reaped keeps its group busy for a moment, so it waits.
func (g *Group) Remove(ctx context.Context) error {
	if g.stop != nil {
		return nil
	}
	for {
		err := g.walk(func(dir string) error {
			if err := unix.Rmdir(dir); err != nil && err != unix.ENOENT {
				return fmt.Errorf("remove cgroup %s: %w", dir, err)
			}
			return nil
		})
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		if pause(ctx, poll) != nil {
			return err
		}
	}
}

// write sets the wanted state. The kernel goes there in its own time.
func (g *Group) write(freeze bool) error {
	if g.stop != nil {
		return g.set(freeze)
	}
	if g.version == V1 {
		state := "THAWED"
		if freeze {
			state = "FROZEN"
		}
		return os.WriteFile(filepath.Join(g.dir, "freezer.state"), []byte(state), 0)
	}
	state := "0"
	if freeze {
		state = "1"
	}
	return os.WriteFile(filepath.Join(g.dir, "cgroup.freeze"), []byte(state), 0)
}

// gone says that the error means that the group or process no longer exists.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESRCH)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
