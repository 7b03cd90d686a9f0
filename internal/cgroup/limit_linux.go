package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Controllers that bound what a group may use.
const (
	CPU    = "cpu"
	Memory = "memory"
)

// period of the processor's quota, in microseconds: short, so that what waits
// for it does not wait for longer than etcd's ticks.
const period = 20_000

// Bounds is a group in the tree of one controller: the group itself on v2, one
// of the same path beside it on v1.
type Bounds struct {
	controller string
	dir        string
	v2         bool
}

// Bounds opens the controller for the group of that path, which must exist and be
// empty of groups. On v2 it enables the controller from the root down, which no
// group on the way may have processes for.
func (g *Group) Bounds(path, controller string) (*Bounds, error) {
	if g.stop != nil {
		return nil, fmt.Errorf("no control group can be made for controller %s", controller)
	}
	var second error
	if g.version == V2 {
		second = enable(strings.TrimSuffix(g.dir, "/"+path), path, controller)
		if second == nil {
			return &Bounds{controller, g.dir, true}, nil
		}
	}
	mounts, err := v1Mounts(controller)
	if err != nil {
		return nil, err
	}
	if len(mounts) == 0 {
		return nil, errors.Join(fmt.Errorf("no tree of control groups has the controller %s", controller), second)
	}
	if err := (Hierarchy{V1, mounts[0]}).MakeWritable(); err != nil {
		return nil, err
	}
	dir := filepath.Join(mounts[0], path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a group for controller %s: %w", controller, err)
	}
	return &Bounds{controller, dir, false}, nil
}

// enable has the groups below mount, down to that of path, use the controller.
func enable(mount, path, controller string) error {
	dir := mount
	parts := strings.Split(path, "/")
	for i := range parts {
		has, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
		if err != nil {
			return err
		}
		if !slices.Contains(strings.Fields(string(has)), controller) {
			return fmt.Errorf("%s does not have the controller %s", dir, controller)
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0); err != nil {
			return fmt.Errorf("enable controller %s below %s: %w", controller, dir, err)
		}
		dir = filepath.Join(dir, parts[i])
	}
	return nil
}

// v1Mounts are the trees of a controller of v1.
func v1Mounts(controller string) (mounts []string, err error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find cgroup mounts: %w", err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		head, tail, ok := strings.Cut(s.Text(), " - ")
		left, right := strings.Fields(head), strings.Fields(tail)
		if ok && len(left) > 5 && len(right) > 2 && right[0] == "cgroup" && strings.Contains(","+right[2]+",", ","+controller+",") {
			mounts = append(mounts, left[4])
		}
	}
	return mounts, s.Err()
}

// ProcsFile is what a process joins with, "" where it is there already.
func (b *Bounds) ProcsFile() string {
	if b.v2 {
		return ""
	}
	return filepath.Join(b.dir, "cgroup.procs")
}

// Join moves the processes into the group.
func (b *Bounds) Join(pids ...int) error {
	for _, pid := range pids {
		if b.v2 {
			return nil
		}
		if err := os.WriteFile(b.ProcsFile(), []byte(strconv.Itoa(pid)), 0); err != nil && !gone(err) {
			return fmt.Errorf("move process %d to cgroup %s: %w", pid, b.dir, err)
		}
	}
	return nil
}

// By is the file that SetCPU writes.
func (b *Bounds) By() string {
	if b.v2 {
		return "cpu.max"
	}
	return "cpu.cfs_quota_us"
}

// SetCPU bounds the processors that the group may use; 0 is no bound.
func (b *Bounds) SetCPU(processors float64) error {
	quota := max(1000, int64(processors*period)) // the kernel's least
	if b.v2 {
		if processors == 0 {
			return b.write("cpu.max", "max")
		}
		return b.write("cpu.max", fmt.Sprintf("%d %d", quota, period))
	}
	if processors == 0 {
		return b.write("cpu.cfs_quota_us", "-1")
	}
	if err := b.write("cpu.cfs_period_us", strconv.Itoa(period)); err != nil {
		return err
	}
	return b.write("cpu.cfs_quota_us", strconv.FormatInt(quota, 10))
}

// SetMemory bounds what the group may use, swap included; 0 is no bound.
func (b *Bounds) SetMemory(bytes int64) error {
	value, none := strconv.FormatInt(bytes, 10), bytes == 0
	// On v1 the bound with swap may never be the lower one.
	files := []string{"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"}
	switch {
	case b.v2 && none:
		return errors.Join(b.write("memory.max", "max"), b.maybe("memory.swap.max", "max"))
	case b.v2:
		return errors.Join(b.maybe("memory.swap.max", "0"), b.write("memory.max", value))
	case none:
		value = "-1"
		slices.Reverse(files)
	}
	for i, file := range files {
		if i > 0 && !none {
			limit, err := os.ReadFile(filepath.Join(b.dir, files[0]))
			if err != nil {
				return err
			}
			value = strings.TrimSpace(string(limit))
		}
		if err := b.squeeze(file, value); err != nil {
			return err
		}
	}
	return nil
}

// squeeze writes a bound of v1, which the kernel refuses where more than that is
// in use and cannot be taken back; v2 kills then. The bound is what is in use
// instead, so that the next page that is wanted kills.
func (b *Bounds) squeeze(file, value string) error {
	const tries = 20 // what is in use changes
	for try := 0; ; try++ {
		err := b.maybe(file, value)
		if !errors.Is(err, unix.EBUSY) || try == tries {
			return err
		}
		data, readErr := os.ReadFile(filepath.Join(b.dir, strings.Replace(file, "limit", "usage", 1)))
		if readErr != nil {
			return errors.Join(err, readErr)
		}
		value = strings.TrimSpace(string(data))
	}
}

// Count is how often etcd was kept from running, or killed, for the bound.
func (b *Bounds) Count() (int64, error) {
	file, field := "cpu.stat", "nr_throttled"
	if b.controller == Memory {
		file, field = "memory.events", "oom_kill"
		if !b.v2 {
			file = "memory.oom_control"
		}
	}
	data, err := os.ReadFile(filepath.Join(b.dir, file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == field {
			return strconv.ParseInt(f[1], 10, 64)
		}
	}
	return 0, nil
}

func (b *Bounds) write(file, value string) error {
	if err := os.WriteFile(filepath.Join(b.dir, file), []byte(value), 0); err != nil {
		return fmt.Errorf("bound cgroup %s: write %s: %w", b.dir, value, err)
	}
	return nil
}

// maybe is write to a file that a kernel without accounting of swap lacks.
func (b *Bounds) maybe(file, value string) error {
	if _, err := os.Stat(filepath.Join(b.dir, file)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return b.write(file, value)
}

// removeBounds removes what Bounds made of a path beside the freezer's trees.
func removeBounds(root, path string) error {
	for _, controller := range []string{CPU, Memory} {
		mounts, err := v1Mounts(controller)
		if err != nil {
			return err
		}
		for _, mount := range mounts {
			g := Group{version: V1, dir: filepath.Join(mount, path)}
			if err := g.walk(os.Remove); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("remove cgroup %s: %w", g.dir, err)
			}
			_ = os.Remove(filepath.Join(mount, root)) // unless others are in it
		}
	}
	return nil
}
