package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/etcdlab/etcdlab/internal/cgroup"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/internal/netns"
	"github.com/etcdlab/etcdlab/lab"
)

// process is one run of etcd.
type process struct {
	pid       int
	started   int64
	requested bool     // its end; guarded by the agent's mutex
	command   []string // the program and its arguments
	version   string
	settings  *lab.Settings // that it was started with
	done      chan struct{} // closed when it is reaped
	exit      Exit          // valid once done
}

// spawn starts etcd in the member's network namespace and control group, in
// which it is before its first instruction, as in those that bound it.
func spawn(c *Config, s *lab.Settings, group *cgroup.Group, b *bounds) (*process, error) {
	c = c.with(s)
	joins := b.joins()
	out, err := os.OpenFile(c.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	defer out.Close()
	p := &process{
		started: clock.Now(), done: make(chan struct{}), settings: s,
		command: append([]string{c.Etcd}, c.Args...), version: c.Version,
	}
	// A line like etcd's own, so that the log of several runs stays parseable.
	fmt.Fprintf(out, `{"level":"info","ts":%q,`+marker+`,"msg":"etcdlab starts etcd","monotonic":%d}`+"\n",
		time.Now().UTC().Format("2006-01-02T15:04:05.000000Z0700"), p.started)

	cmd := exec.Command(c.Etcd, c.Args...)
	// A session of its own: a signal to the agent's terminal is not for etcd.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	switch group.Version() {
	case cgroup.V2:
		dir, err := group.Open()
		if err != nil {
			return nil, fmt.Errorf("start etcd: %w", err)
		}
		defer dir.Close()
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	case cgroup.V1:
		joins = append([]string{group.ProcsFile()}, joins...)
	}
	if len(joins) > 0 {
		// v1 has no way to be born in a group: the helper joins and executes.
		args := append(append([]string{}, c.Self[1:]...), helperJoin, strings.Join(joins, ","), c.Etcd)
		cmd = &exec.Cmd{Path: c.Self[0], Args: append(append(c.Self[:1:1], args...), c.Args...), SysProcAttr: cmd.SysProcAttr}
	}
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.Env, c.dir, out, out
	if err := netns.Start(c.NetNS, cmd); err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	p.pid = cmd.Process.Pid
	group.Adopt(p.pid)
	// It must not inherit the agent's protection from the OOM killer; failing
	// that, it only has it.
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", p.pid), []byte("0"), 0)
	go func() {
		err := cmd.Wait()
		p.exit = Exit{At: clock.Now(), Status: "exit status 0", Last: lastWords(c.LogFile), Memory: b.killed()}
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			p.exit.Status = ended.String()
		} else if err != nil {
			p.exit.Status = err.Error()
		}
		close(p.done)
	}()
	return p, nil
}

// alive says whether the process is not reaped yet.
func (p *process) alive() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// wait waits until the process is reaped.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for etcd (process %d) to end: %w", p.pid, ctx.Err())
	}
}

// with is the configuration with these settings over it.
func (c *Config) with(s *lab.Settings) *Config {
	if s == nil {
		return c
	}
	other := *c
	other.Args, other.Env = s.Line(c.Args), s.Environment(c.Env)
	if b := s.Binaries; b != nil {
		other.Etcd, other.Version = b.Etcd, b.Version
		if b.Etcdutl != "" {
			other.Tools = filepath.Dir(b.Etcdutl)
		}
	}
	return &other
}

// join is the helper for v1: it enters the groups and becomes the program.
func join(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: " + helperJoin + " PROCS-FILE[,PROCS-FILE...] PROGRAM [ARG...]")
	}
	for file := range strings.SplitSeq(args[0], ",") {
		if err := os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			return fmt.Errorf("join the control group: %w", err)
		}
	}
	if err := syscall.Exec(args[1], args[1:], os.Environ()); err != nil {
		return fmt.Errorf("execute %s: %w", args[1], err)
	}
	return nil
}
