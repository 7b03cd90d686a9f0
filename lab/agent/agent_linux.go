package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/etcdlab/etcdlab/internal/cgroup"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/wire"
)

// Bounds of what the agent waits for.
const (
	termGrace    = 5 * time.Second  // SIGTERM to SIGKILL
	killDeadline = 20 * time.Second // SIGKILL to reaped
	// heldSettle is how long tasks must stay blocked, on a disk that holds
	// flushes back, to be those that wait for it: other I/O takes less here.
	heldSettle = 3 * time.Millisecond
)

// Agent is one member's host, on the machine that it runs on itself. Its methods
// are called one at a time, but for those that Handler does not serialise.
type Agent struct {
	cfg   *Config
	log   *slog.Logger
	group *cgroup.Group // etcd's
	disk  machineDisk   // nil when it is plain
	// bounds are what limits etcd's use of the machine, by controller.
	bounds *bounds
	// forwards cross etcd's link and share its fate.
	forwards []*Forwarder

	life context.Context // ends with the agent
	end  func()

	mu       sync.Mutex // guards what follows
	proc     *process   // the last etcd, nil if none was started
	frozen   bool
	linkUp   bool
	wire     *wire.Splice // nil without rules of the network
	holding  bool         // the disk completes no flush
	cut      bool         // the disk has no power
	damaged  bool         // files of the data are, and what undoes it is there
	diskFail string       // why the disk could not be mounted
	settings *lab.Settings
	wiped    bool // see wipedFile
}

var _ Host = (*Agent)(nil)

// Status is what is known without waiting for anything.
func (a *Agent) Status(context.Context) (Status, error) { return a.status(), nil }

func (a *Agent) status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Status{
		Lab: a.cfg.Lab, Member: a.cfg.Member, Agent: os.Getpid(), State: lab.StateStopped,
		LinkUp: a.linkUp, Freezer: string(a.group.Version()), DiskFail: a.diskFail,
	}
	s.Damaged = a.damaged
	if a.disk != nil {
		s.Broken = a.disk.broken()
		if d, ok := a.disk.(interface{ metFailures() bool }); ok {
			s.MetFailures = d.metFailures()
		}
	}
	s.Settings, s.Limited = a.settings, a.bounds.limits()
	if p := a.proc; p != nil {
		s.Command, s.Version = p.command, p.version
		s.Stale = p.alive() && !sameSettings(p.settings, a.settings)
	}
	if p := a.proc; p.alive() {
		s.PID, s.Started, s.State = p.pid, p.started, lab.StateRunning
		if a.frozen {
			s.State = lab.StateFrozen
		}
	} else if p != nil {
		e := p.exit
		e.Requested = p.requested
		s.Exit = &e
	}
	if a.cut || a.diskFail != "" {
		s.State = lab.StateOff
	}
	s.Wiped = a.wiped
	return s
}

func (a *Agent) current() *process {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.proc
}

// Start starts etcd if it does not run.
func (a *Agent) Start(ctx context.Context) error {
	if a.current().alive() {
		return nil
	}
	if s := a.status(); s.State == lab.StateOff {
		if s.DiskFail != "" {
			return Conflict("start etcd of %s: its disk does not mount: %s", a.cfg.Member, s.DiskFail)
		}
		return Conflict("start etcd of %s: its disk has no power; restore it first", a.cfg.Member)
	}
	a.mu.Lock()
	settings := a.settings
	a.mu.Unlock()
	if err := a.mayStart(settings); err != nil {
		return err
	}
	// What an earlier etcd or a killed helper left must not run beside it.
	if err := a.Kill(ctx); err != nil {
		return err
	}
	after, err := a.awaitTurn(ctx)
	if err != nil {
		return err
	}
	defer after()
	p, err := spawn(a.cfg, settings, a.group, a.bounds)
	if err != nil {
		return err
	}
	if err := a.bounds.started(p); err != nil {
		a.log.Error("limit the etcd that was started", "error", err)
	}
	a.mu.Lock()
	a.proc, a.frozen = p, false
	a.mu.Unlock()
	a.log.Info("etcd started", "pid", p.pid)
	go func() {
		<-p.done
		a.log.Info("etcd ended", "pid", p.pid, "status", p.exit.Status, "last", p.exit.Last)
	}()
	a.awaitPeerPort(ctx, p)
	return nil
}

// Stop ends etcd with SIGTERM or, failing that, SIGKILL.
func (a *Agent) Stop(ctx context.Context) error {
	p := a.current()
	if !p.alive() {
		return nil
	}
	a.request(p)
	if err := a.Thaw(ctx); err != nil {
		return err
	}
	if err := syscall.Kill(p.pid, syscall.SIGTERM); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("stop etcd (process %d): %w", p.pid, err)
	}
	grace, cancel := context.WithTimeout(ctx, termGrace)
	defer cancel()
	if p.wait(grace) == nil {
		return nil
	}
	return a.Kill(ctx)
}

// signalGrace is how long etcd may take to end after a signal that it can refuse.
const signalGrace = 30 * time.Second

// Signal ends etcd with a signal, and waits for its end.
func (a *Agent) Signal(ctx context.Context, name string) error {
	number := map[string]syscall.Signal{lab.SignalTerm: syscall.SIGTERM, lab.SignalQuit: syscall.SIGQUIT}[name]
	p := a.current()
	switch {
	case number == 0:
		return Invalid("signal %q: it is one of %v", name, lab.Signals)
	case !p.alive():
		return Conflict("send %s to etcd of %s: it does not run", name, a.cfg.Member)
	}
	a.request(p)
	if err := syscall.Kill(p.pid, number); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("send %s to etcd (process %d): %w", name, p.pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, signalGrace)
	defer cancel()
	return p.wait(ctx)
}

// Kill ends everything in etcd's control group with SIGKILL and waits until it is reaped.
func (a *Agent) Kill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, killDeadline)
	defer cancel()
	defer a.bounds.pause()()
	p := a.current()
	if p.alive() {
		a.request(p)
	}
	if err := a.group.Kill(ctx); err != nil {
		return err
	}
	if p != nil {
		if err := p.wait(ctx); err != nil {
			return err
		}
	}
	// An empty group keeps its freezer's state: the next etcd would be frozen.
	return a.Thaw(ctx)
}

func (a *Agent) request(p *process) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p.requested = true
}

// Freeze freezes etcd and observes it.
func (a *Agent) Freeze(ctx context.Context, deadline time.Duration) (lab.Frozen, error) {
	if !a.current().alive() {
		return lab.Frozen{}, Conflict("freeze etcd of %s: it does not run", a.cfg.Member)
	}
	a.bounds.pause() // until it is thawed
	a.mu.Lock()
	a.frozen = true
	settle := time.Duration(0)
	if a.holding {
		settle = heldSettle
	}
	a.mu.Unlock()
	f, err := a.group.Freeze(ctx, deadline, settle)
	return lab.Frozen{Observed: f.Observed, Blocked: f.Blocked, Running: f.Running, Took: f.Took, Freezer: string(a.group.Version())}, err
}

// Thaw lets etcd go on.
func (a *Agent) Thaw(ctx context.Context) error {
	if err := a.group.Thaw(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	a.frozen = false
	a.mu.Unlock()
	a.bounds.resume()
	return nil
}

// Shutdown ends etcd and takes everything off that the agent holds.
func (a *Agent) Shutdown(ctx context.Context, discard bool) error {
	a.end()
	a.bounds.pause()
	for _, f := range a.forwards {
		if err := f.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			a.log.Error("close a forwarder", "error", err)
		}
	}
	if discard && a.disk != nil {
		// Held or failing I/O would keep etcd from ending.
		if _, err := a.Cut(ctx); err != nil {
			return err
		}
	}
	if a.disk != nil && !discard {
		// Operations that are held back or stuck would keep etcd from ending.
		if err := a.disk.release(ctx); err != nil && a.cfg.Disk.Kind == "fault" {
			return err
		}
		if err := a.disk.setFaults(ctx, nil); err != nil && a.cfg.Disk.Kind == "fault" {
			return err
		}
	}
	if err := a.Kill(ctx); err != nil {
		return err
	}
	var err error
	if a.cfg.Port != "" {
		err = a.SetNetRules(ctx, "", nil, 0)
	}
	if a.disk == nil {
		return err
	}
	return errors.Join(err, a.disk.close(ctx, discard))
}
