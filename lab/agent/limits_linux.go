package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/internal/cgroup"
	"github.com/etcdlab/etcdlab/lab"
)

// bounds are the limits on etcd. A group for memory holds every etcd from its
// birth on, as what a process had before it came is charged elsewhere; one for
// the processor only while it is limited, since with it etcd as a whole has the
// weight of one of the machine's other processes.
type bounds struct {
	group  *cgroup.Group
	path   string
	memory *cgroup.Bounds
	noMem  error // why memory cannot be limited

	mu     sync.Mutex
	now    lab.Limits
	cpu    *cgroup.Bounds // nil before the first limit, and where it is the freezer's
	by     string
	base   lab.Limited // counts when the limits were set
	turns  int64       // of the freezer
	cancel func()      // ends the freezer's turns; nil without
	pid    int         // etcd's
}

func openBounds(c *Config, group *cgroup.Group) *bounds {
	b := &bounds{group: group, path: lab.Cgroup(c.Lab, c.Member, "etcd")}
	b.memory, b.noMem = group.Bounds(b.path, cgroup.Memory)
	if b.noMem == nil {
		b.noMem = b.memory.SetMemory(0) // an earlier agent's
	}
	if b.noMem != nil {
		b.memory = nil
	}
	return b
}

// joins are the groups that etcd is to be in beside the freezer's.
func (b *bounds) joins() []string {
	if b.memory != nil && b.memory.ProcsFile() != "" {
		return []string{b.memory.ProcsFile()}
	}
	return nil
}

func (b *bounds) limits() lab.Limits {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// started applies the limits to a new etcd.
func (b *bounds) started(p *process) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pid = p.pid
	var err error
	if b.now.CPU > 0 && b.cpu != nil {
		err = b.joinCPU()
	}
	if b.now.Files > 0 {
		err = errors.Join(err, setFiles(p.pid, b.now.Files))
	}
	return err
}

// joinCPU moves every process of etcd, whoever forked meanwhile too.
func (b *bounds) joinCPU() error {
	pids, err := b.group.Procs()
	if err != nil {
		return err
	}
	return b.cpu.Join(pids...)
}

// SetLimits replaces the limits.
func (a *Agent) SetLimits(_ context.Context, l lab.Limits) error {
	if err := l.Check(); err != nil {
		return invalid(err)
	}
	b := a.bounds
	if l.Memory > 0 && b.memory == nil {
		return a.lacks("Limiter", "memory: "+oneLine(b.noMem))
	}
	pid := 0
	if p := a.current(); p.alive() {
		pid = p.pid
	}
	b.pause()
	b.mu.Lock()
	b.pid = pid
	err := b.set(l)
	b.mu.Unlock()
	if a.status().State != lab.StateFrozen {
		b.resume()
	}
	if err != nil {
		return fmt.Errorf("limit etcd of %s: %w", a.cfg.Member, err)
	}
	return nil
}

func (b *bounds) set(l lab.Limits) error {
	var errs []error
	if l.CPU > 0 && b.cpu == nil && b.by == "" {
		cpu, err := b.group.Bounds(b.path, cgroup.CPU)
		if err == nil {
			err = cpu.SetCPU(l.CPU) // some kernels have the tree without quotas
		}
		b.cpu, b.by = cpu, "freezer"
		if err != nil {
			b.cpu = nil
		} else {
			b.by = cpu.By()
		}
	}
	if b.cpu != nil {
		errs = append(errs, b.cpu.SetCPU(l.CPU), b.joinCPU())
	}
	b.turns = 0
	// Before the bound: where more is in use, v2 kills while it is written.
	b.base.Throttled, b.base.OOMKills = b.counts()
	if b.memory != nil {
		errs = append(errs, b.memory.SetMemory(l.Memory))
	}
	if b.pid != 0 && (l.Files > 0 || b.now.Files > 0) {
		errs = append(errs, setFiles(b.pid, l.Files))
	}
	b.now = l
	return errors.Join(errs...)
}

// counts are of all time.
func (b *bounds) counts() (throttled, kills int64) {
	if b.cpu != nil {
		throttled, _ = b.cpu.Count()
	}
	if b.memory != nil {
		kills, _ = b.memory.Count()
	}
	return throttled, kills
}

// countedWithin is how long the kernel may take to count a kill that was seen.
const countedWithin = 500 * time.Millisecond

// killed says whether the kernel killed for the limit on memory.
func (b *bounds) killed() bool {
	look := func() (limited, killed bool) {
		b.mu.Lock()
		defer b.mu.Unlock()
		_, kills := b.counts()
		return b.now.Memory > 0, kills > b.base.OOMKills
	}
	for end := time.Now().Add(countedWithin); ; time.Sleep(10 * time.Millisecond) {
		limited, killed := look()
		if !limited || killed || time.Now().After(end) {
			return limited && killed
		}
	}
}

// Limits are those in force.
func (a *Agent) Limits(context.Context) (lab.Limited, error) {
	b := a.bounds
	b.mu.Lock()
	defer b.mu.Unlock()
	l := lab.Limited{Limits: b.now}
	throttled, kills := b.counts()
	l.Throttled, l.OOMKills = throttled-b.base.Throttled+b.turns, kills-b.base.OOMKills
	if b.now.CPU > 0 {
		l.By = b.by
	}
	if p := a.current(); p.alive() {
		open, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(p.pid), "fd"))
		if err == nil {
			l.Open = len(open)
		}
	}
	return l, nil
}

// setFiles changes how many descriptors a process may have; 0 is as many as it
// ever may: a Go program raises its own limit to that at its start.
func setFiles(pid, n int) error {
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		return ignoreEnded(err)
	}
	limit.Cur = limit.Max
	if n > 0 {
		limit.Cur = min(uint64(n), limit.Max)
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil && ignoreEnded(err) != nil {
		return fmt.Errorf("set the limit of descriptors of process %d: %w", pid, err)
	}
	return nil
}

func ignoreEnded(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// turn is the period of the freezer's turns, where there is no quota.
const turn = 50 * time.Millisecond

// resume begins the freezer's turns, if they are what limits the processor.
func (b *bounds) resume() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cancel != nil || b.by != "freezer" || b.now.CPU == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	b.cancel = func() { cancel(); <-done }
	// Of one processor: what several would have done at once is not told.
	runs := time.Duration(min(1, b.now.CPU) * float64(turn))
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			b.freezeFor(ctx, turn-runs)
			sleep(ctx, runs)
		}
	}()
}

func (b *bounds) freezeFor(ctx context.Context, d time.Duration) {
	f, err := b.group.Freeze(ctx, turn, 0)
	if err == nil && f.Observed {
		b.mu.Lock()
		b.turns++
		b.mu.Unlock()
	}
	sleep(ctx, d)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), killDeadline)
	defer cancel()
	_ = b.group.Thaw(last)
}

// pause ends the turns, etcd not frozen by them; the function begins them again.
func (b *bounds) pause() (resume func()) {
	b.mu.Lock()
	cancel := b.cancel
	b.cancel = nil
	b.mu.Unlock()
	if cancel == nil {
		return func() {}
	}
	cancel()
	return b.resume
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
