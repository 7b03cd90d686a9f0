package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/etcdlab/etcdlab/disk/fs"
	"github.com/etcdlab/etcdlab/disk/fuse"
	"github.com/etcdlab/etcdlab/internal/cgroup"
	"github.com/etcdlab/etcdlab/internal/each"
	"github.com/etcdlab/etcdlab/internal/netns"
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
	return local.Down(ctx, name, p.lock, p.remove)
}

// remove does it, under the lab's lock.
func (p *Provider) remove(ctx context.Context, name string) error {
	found, err := discover(name)
	if err != nil {
		return err
	}
	dirs, err := stateDirs(name)
	if err != nil {
		return err
	}
	err = each.Do(len(found.members), func(i int) error {
		p.say("taking %s/%s down", name, found.members[i])
		return removeMember(ctx, name, found.members[i])
	})
	if err != nil {
		return err
	}
	// Not only members' groups: the lab's own directory in the trees.
	if err := killGroup(ctx, lab.Cgroup(name)); err != nil {
		return err
	}
	if err := removeNetwork(name, found.members); err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := removeAll(dir); err != nil {
			return err
		}
	}
	return removeAll(lab.RunDir(name))
}

// removeMember ends everything of a member and takes its disk off; its network
// goes with the lab's.
func removeMember(ctx context.Context, labName, name string) error {
	dir := memberDir(labName, name)
	c := agent.NewClient(name, agent.At{Dir: dir}, nil)
	defer c.Close()
	ask, cancel := context.WithTimeout(ctx, shutdownTimeout)
	// Whatever it could not do is done below.
	_ = c.Shutdown(ask, true)
	cancel()
	return cleanMember(ctx, labName, name)
}

// cleanMember takes away what a member's dead agent left: processes, mounts,
// loop device, FUSE connection, control groups. The order matters: the agent is
// sent to its death first, so that the disk has no server; but it, and etcd, may
// be stuck in I/O on that disk, and only end when the FUSE connection has.
func cleanMember(ctx context.Context, labName, name string) error {
	dir := memberDir(labName, name)
	if err := killStrays(dir); err != nil {
		return err
	}
	trees, err := cgroup.Hierarchies()
	if err != nil {
		return err
	}
	for _, h := range trees {
		if err := h.Group(lab.Cgroup(labName, name)).Signal(syscall.SIGKILL); err != nil {
			return err
		}
	}
	if err := fuse.CleanUp(ctx, filepath.Join(dir, agent.FrontDir)); err != nil {
		return err
	}
	if err := killGroup(ctx, lab.Cgroup(labName, name)); err != nil {
		return err
	}
	// What a user runs in the namespace (etcdlab exec) would keep it alive.
	pids, err := netns.Procs(lab.NetNS(labName, name))
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			return fmt.Errorf("kill process %d in the namespace of %s: %w", pid, name, err)
		}
	}
	mount := filepath.Join(dir, agent.DataMount)
	var lazy *fs.LazyError
	if err := fs.Unmount(ctx, mount); err != nil && !errors.As(err, &lazy) {
		return err
	}
	return nil
}

// killGroup ends what is in the group and removes it.
func killGroup(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	return cgroup.RemoveAll(ctx, lab.CgroupRoot, path)
}

// killStrays ends agents of the directory that did not reach their control
// group: killed between their start and their first steps.
func killStrays(dir string) error {
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, file := range procs {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		args := strings.Split(string(data), "\x00")
		i := slices.Index(args, "--dir")
		if i < 0 || i+1 >= len(args) || args[i+1] != dir || !slices.Contains(args[:i], "agent") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			return fmt.Errorf("kill the agent in %s (process %d): %w", dir, pid, err)
		}
	}
	return nil
}

// removeAll removes a directory that nothing is mounted in: to walk into a
// member's disk, or a FUSE mount that hangs, is the last thing to do.
func removeAll(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("look for mounts in %s: %w", dir, err)
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			return fmt.Errorf("remove %s: %s is still mounted", dir, f[4])
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	return nil
}
