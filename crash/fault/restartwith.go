package fault

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/etcd"
)

var restartWithKind = Kind{
	Name: "restart-with", Group: GroupProcess,
	Doc: "etcd is killed and started with another value of a flag; healed by a restart with the spec's",
	Params: []Param{
		{Name: "flag", Doc: "by its newest name, without dashes: each release gets its own", Type: text(nil), Default: "snapshot-count"},
		{Name: "value", Doc: "what it is set to", Type: text(nil), Default: "50"},
	},
	New: func(a Args) (Fault, error) {
		f := &RestartWith{Args: map[string]string{a.Text("flag"): a.Text("value")}}
		s := lab.Settings{Args: f.Args}
		return f, s.Check()
	},
}

// RestartWith has etcd run with other flags.
type RestartWith struct {
	Args map[string]string // by their newest names
}

func (*RestartWith) Needs(m lab.Member) error {
	return all(m, needs[lab.Runner], needs[lab.Configurer])
}

// Apply restarts one member after the other, so that the cluster goes on.
func (f *RestartWith) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	for _, m := range targets {
		info, err := m.Info(ctx)
		if err != nil {
			return Effect{}, err
		}
		args, lacking := etcd.Flags(f.Args, info.Version)
		if len(lacking) > 0 {
			return Effect{}, &lab.UnsupportedError{Member: m.Name(), Capability: "flag " + lacking[0], Reason: "etcd " + info.Version + " has no such flag"}
		}
		if err := s.restartAs(ctx, m, &lab.Settings{Args: args}, "restarted with "+words(args)); err != nil {
			return Effect{}, err
		}
		if info, err = m.Info(ctx); err != nil {
			return Effect{}, err
		}
		for name, value := range args {
			if want := "--" + name + "=" + value; info.State != lab.StateRunning || !slices.Contains(info.Args, want) {
				return Effect{Message: fmt.Sprintf("%s does not run with %s: %s", m.Name(), want, info.Exit)}, nil
			}
		}
	}
	return Effect{Observed: true, Message: "running with " + words(f.Args)}, nil
}

func words(args map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(args)) {
		all = append(all, name+"="+args[name])
	}
	return strings.Join(all, " ")
}

// restartAs kills etcd and starts it with these settings over the spec's, and
// waits until it serves or has ended.
func (s *Scene) restartAs(ctx context.Context, m lab.Member, settings *lab.Settings, message string) error {
	s.event(history.EventFault, m.Name(), message)
	if err := kill(ctx, s, m); err != nil {
		return err
	}
	if err := s.configure(ctx, m, settings, message); err != nil {
		return err
	}
	if err := s.start(ctx, m); err != nil {
		return err
	}
	return s.serves(ctx, m)
}

// serves waits until a member answers a linearizable read; that it does not is
// for the caller, or the judge, to see.
func (s *Scene) serves(ctx context.Context, m lab.Member) error {
	_, err := until(ctx, s.slow(endsWithin), func(ctx context.Context) (bool, error) {
		info, err := m.Info(ctx)
		if err != nil || info.State != lab.StateRunning {
			return info.State == lab.StateStopped, err
		}
		return s.reads(ctx, m), nil
	})
	if err == nil && s.reads(ctx, m) {
		s.event(history.EventServing, m.Name(), "")
	}
	return err
}

func (f *RestartWith) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	for _, m := range targets {
		info, err := m.Info(ctx)
		if err != nil {
			return err
		}
		if err := s.unconfigure(ctx, m); err != nil {
			return err
		}
		if info.Settings != nil && len(targets) > 1 {
			if err := s.serves(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}
