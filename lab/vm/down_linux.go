package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/etcdlab/etcdlab/internal/cgroup"
	"github.com/etcdlab/etcdlab/internal/each"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
)

// Bounds of taking a lab down.
const (
	shutdownTimeout = 10 * time.Second // an agent's own
	killTimeout     = 10 * time.Second
)

// Down removes every trace of the lab. It needs neither the spec nor anything
// that still runs, and may be called by several at once.
func (p *Provider) Down(ctx context.Context, name string) error {
	return local.Down(ctx, name, p.Exclusive, p.remove)
}

// remove does it, under the lab's lock.
func (p *Provider) remove(ctx context.Context, name string) error {
	members, err := membersOf(name)
	if err != nil {
		return err
	}
	err = each.Do(len(members), func(i int) error {
		p.say("taking %s/%s down", name, members[i])
		c := agent.NewClient(members[i], agent.At{Dir: runDir(name) + "/" + members[i]}, nil)
		defer c.Close()
		ask, cancel := context.WithTimeout(ctx, shutdownTimeout)
		defer cancel()
		// Whatever it could not do is done below.
		_ = c.Shutdown(ask, true)
		return cleanMember(ctx, name, members[i])
	})
	if err != nil {
		return err
	}
	if err := killAll(ctx, func() []int { return processes(name) }); err != nil {
		return err
	}
	if err := removeGroup(ctx, cgroupOf(name)); err != nil {
		return err
	}
	dirs, err := labDirs(name)
	if err != nil {
		return err
	}
	// The run directory last: by it a lab that is half gone is found.
	for _, dir := range slices.Backward(dirs) {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove %s: %w", dir, err)
		}
	}
	return nil
}

// membersOf lists the members that have a directory or a process.
func membersOf(name string) ([]string, error) {
	dirs, err := labDirs(name)
	if err != nil {
		return nil, err
	}
	var members []string
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("look for lab %s: %w", name, err)
		}
		for _, e := range entries {
			if e.IsDir() && lab.CheckName("member", e.Name()) == nil {
				members = append(members, e.Name())
			}
		}
	}
	eachProcess(func(_ int, labName, member string) {
		if labName == name {
			members = append(members, member)
		}
	})
	slices.Sort(members)
	return slices.Compact(members), nil
}

// cleanMember ends what is left of a member: its agent, with which its QEMU dies,
// and a QEMU whose agent died too early for that.
func cleanMember(ctx context.Context, name, member string) error {
	if err := killAll(ctx, func() []int { return memberProcesses(name, member) }); err != nil {
		return err
	}
	return removeGroup(ctx, cgroupOf(name, member))
}

// killAll kills processes until none is left. A frozen one is thawed with its
// group; SIGKILL ends a stopped one by itself.
func killAll(ctx context.Context, list func() []int) error {
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	for {
		pids := list()
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
				return fmt.Errorf("kill process %d: %w", pid, err)
			}
			thawGroupOf(ctx, pid)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kill processes %v: they do not end: %w", pids, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// thawGroupOf lets a frozen process die: under the v1 freezer it does so only
// once it is thawed. Where it fails the group is not ours, and not frozen.
func thawGroupOf(ctx context.Context, pid int) {
	trees, err := cgroup.Hierarchies()
	if err != nil {
		return
	}
	eachProcess(func(p int, labName, member string) {
		if p != pid {
			return
		}
		for _, h := range trees {
			_ = h.Group(cgroupOf(labName, member, "qemu")).Thaw(ctx)
		}
	})
}

// removeGroup removes a control group with all that is in it. An ordinary user
// has none.
func removeGroup(ctx context.Context, path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	return cgroup.RemoveAll(ctx, cgroupRoot, path)
}
