package fault

import (
	"context"
	"fmt"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/lab"
)

var processKinds = []Kind{
	{Name: "kill", Group: GroupProcess, Doc: "SIGKILL: the process ends, the page cache and the disk stay", New: func(Args) (Fault, error) { return &Kill{}, nil }},
	{Name: "terminate", Group: GroupProcess, Doc: "SIGTERM: etcd ends in its orderly way, a leader after handing over", New: func(Args) (Fault, error) { return &Signal{Name: lab.SignalTerm}, nil }},
	{Name: "quit", Group: GroupProcess, Doc: "SIGQUIT: the Go runtime prints its goroutines and ends the process", New: func(Args) (Fault, error) { return &Signal{Name: lab.SignalQuit}, nil }},
	{Name: "freeze", Group: GroupProcess, Doc: "etcd stands still in its control group, seen frozen, until it is healed", New: func(Args) (Fault, error) { return &Freeze{}, nil }},
	{
		Name: "restart-loop", Group: GroupProcess, Doc: "etcd is killed and started again and again, killed each time as it begins to serve its peers",
		Params: []Param{{Name: "times", Doc: "how often", Type: count(1), Default: "3"}},
		New:    func(a Args) (Fault, error) { return &RestartLoop{Times: a.Count("times")}, nil },
	},
	startCrashKind, restartWithKind,
}

// Signal ends etcd with a signal that it may answer.
type Signal struct {
	Kill
	Name string
}

func (*Signal) Needs(m lab.Member) error {
	return all(m, needs[lab.Runner], needs[lab.Signaller])
}

func (f *Signal) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	err := each(targets, func(m lab.Member) error {
		c, err := lab.Can[lab.Signaller](m)
		if err != nil {
			return err
		}
		s.event(history.EventFault, m.Name(), f.Name)
		begun := clock.Now()
		if err := c.Signal(ctx, f.Name); err != nil {
			return err
		}
		s.timed(history.EventKilled, m.Name(), f.Name, begun)
		return nil
	})
	return Effect{Observed: err == nil, Message: "ended after " + f.Name}, err
}

// Freeze keeps etcd from running.
type Freeze struct{}

func (*Freeze) Needs(m lab.Member) error { return needs[lab.Pauser](m) }

func (*Freeze) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	effect := Effect{Observed: true, Message: "seen frozen"}
	err := each(targets, func(m lab.Member) error {
		f, err := freeze(ctx, s, m, s.slow(freezeFor))
		if err == nil && !f.Observed && f.Running > 0 {
			err = fmt.Errorf("freeze etcd of %s: %d tasks still ran after %v", m.Name(), f.Running, s.slow(freezeFor))
		}
		return err
	})
	if err != nil {
		return Effect{}, err
	}
	return effect, nil
}

func (*Freeze) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	return each(targets, func(m lab.Member) error {
		p, err := lab.Can[lab.Pauser](m)
		if err != nil {
			return err
		}
		begun := clock.Now()
		if err := p.Thaw(ctx); err != nil {
			return err
		}
		s.timed(history.EventHealed, m.Name(), "thawed", begun)
		info, err := m.Info(ctx)
		if err != nil {
			return err
		}
		if info.State == lab.StateStopped {
			return s.start(ctx, m) // it ended meanwhile: frozen for a minute, etcd may
		}
		if info.State == lab.StateFrozen {
			return fmt.Errorf("thaw etcd of %s: it is still frozen", m.Name())
		}
		return nil
	})
}

// RestartLoop kills etcd as soon as it has begun to serve its peers.
type RestartLoop struct {
	Kill
	Times int
}

func (f *RestartLoop) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	err := each(targets, func(m lab.Member) error {
		if err := kill(ctx, s, m); err != nil {
			return err
		}
		for range f.Times {
			if err := s.start(ctx, m); err != nil {
				return err
			}
			if err := kill(ctx, s, m); err != nil {
				return err
			}
		}
		return nil
	})
	return Effect{Observed: err == nil, Message: fmt.Sprintf("started and killed %d times", f.Times)}, err
}

// endsWithin is how long an etcd that must end may take.
const endsWithin = 20 * time.Second
