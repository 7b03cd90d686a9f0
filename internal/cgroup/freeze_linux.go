package cgroup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Freeze asks for the group to be frozen and returns when the kernel says that
// it is, or at the deadline. With a settle above 0 it also returns when for so
// long all tasks that are not frozen have been the same and in uninterruptible
// I/O: they cannot freeze before it ends, and the caller knows that it will not.
// The request stays in force: tasks still freeze when their I/O ends.
func (g *Group) Freeze(ctx context.Context, deadline, settle time.Duration) (Frozen, error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	if err := g.write(true); err != nil {
		return Frozen{}, fmt.Errorf("freeze cgroup %s: %w", g.dir, err)
	}
	var stuck string // the blocked tasks of the last look
	var since time.Time
	for {
		frozen, err := g.frozen()
		if err != nil {
			return Frozen{}, err
		}
		if frozen {
			return Frozen{Observed: true, Took: time.Since(start)}, nil
		}
		blocked, running, err := g.tasks()
		if err != nil {
			return Frozen{}, err
		}
		now := fmt.Sprint(blocked)
		if running > 0 || len(blocked) == 0 || now != stuck {
			stuck, since = now, time.Now()
		}
		over := pause(ctx, poll) != nil
		if over || (settle > 0 && running == 0 && len(blocked) > 0 && time.Since(since) >= settle) {
			// A busy machine may not have come to look for long.
			frozen, err := g.frozen()
			if err != nil || frozen {
				return Frozen{Observed: frozen, Took: time.Since(start)}, err
			}
			return Frozen{Blocked: len(blocked), Running: running, Took: time.Since(start)}, nil
		}
	}
}

// Frozen says whether the kernel has every task of the group frozen.
func (g *Group) Frozen() (bool, error) { return g.frozen() }

func (g *Group) frozen() (bool, error) {
	if g.stop != nil {
		return g.allStopped()
	}
	if g.version == V1 {
		// FREEZING until the last task is frozen (freezer-subsystem.rst).
		data, err := os.ReadFile(filepath.Join(g.dir, "freezer.state"))
		if gone(err) {
			return false, nil
		}
		return strings.TrimSpace(string(data)) == "FROZEN", err
	}
	data, err := os.ReadFile(filepath.Join(g.dir, "cgroup.events"))
	if gone(err) {
		return false, nil
	}
	return strings.Contains(string(data), "frozen 1"), err
}

func (g *Group) thawed() (bool, error) {
	if g.stop != nil {
		return g.noneStopped()
	}
	if g.version == V1 {
		data, err := os.ReadFile(filepath.Join(g.dir, "freezer.state"))
		return gone(err) || strings.TrimSpace(string(data)) == "THAWED", ignoreGone(err)
	}
	frozen, err := g.frozen()
	return !frozen, err
}

// tasks looks at every thread of the group that is not frozen: those in
// uninterruptible sleep by ID, and the number of the others.
func (g *Group) tasks() (blocked []int, running int, err error) {
	pids, err := g.Procs()
	if err != nil {
		return nil, 0, err
	}
	for _, pid := range pids {
		dirs, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task/*"))
		if err != nil {
			return nil, 0, err
		}
		for _, dir := range dirs {
			switch g.look(dir) {
			case 'D':
				tid, _ := strconv.Atoi(filepath.Base(dir))
				blocked = append(blocked, tid)
			case 'R':
				running++
			}
		}
	}
	return blocked, running, nil
}

// look says of one task that it is blocked (D), free to run (R), or neither:
// frozen, or ended meanwhile (0).
func (g *Group) look(dir string) byte {
	if g.stop == nil {
		// Both freezers park a task in a function of their own, which tells it
		// from one in I/O: v1 shows a frozen task as D too.
		where, err := os.ReadFile(filepath.Join(dir, "wchan"))
		if err != nil || parked(string(where)) {
			return 0
		}
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0
	}
	switch state(string(stat)) {
	case 'D':
		return 'D'
	case 'T', 'Z', 'X':
		if g.stop != nil {
			return 0
		}
	}
	return 'R'
}

// parked says whether a wait channel is that of a frozen task: v1 parks it in
// __refrigerator, v2 in do_freezer_trap, which most kernels inline into
// get_signal. Since Linux 6.1, v1 freezes a task where it sleeps if that is one
// of the places marked TASK_FREEZABLE: those where a Go program waits.
func parked(wchan string) bool {
	if wchan == "do_freezer_trap" || wchan == "get_signal" {
		return true
	}
	for _, place := range []string{"refrigerator", "futex", "nanosleep", "ep_poll", "epoll", "poll_schedule", "sigtimedwait"} {
		if strings.Contains(wchan, place) {
			return true
		}
	}
	return false
}

// state is the third field of /proc/PID/stat; the second, in parentheses, may
// contain anything.
func state(stat string) byte {
	i := strings.LastIndexByte(stat, ')')
	if i < 0 || i+2 >= len(stat) {
		return '?'
	}
	return stat[i+2]
}

func ignoreGone(err error) error {
	if gone(err) {
		return nil
	}
	return err
}
