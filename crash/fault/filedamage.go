package fault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/internal/seed"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/etcd"
)

func now() int64 { return clock.Now() }

// FileDamage changes a file of the targets' data behind etcd's back, while it is
// down. Etcd owes that such a member refuses to serve or serves what is right.
type FileDamage struct {
	Damage lab.Damage
	Within time.Duration // for etcd to refuse or to serve
	Force  bool          // also where the targets are no minority
}

func (*FileDamage) Needs(m lab.Member) error {
	return all(m, needs[lab.Damager], needs[lab.Runner], needs[lab.Wiper], needs[lab.Configurer])
}

func (f *FileDamage) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	if err := minority(s, targets, f.Force); err != nil {
		return Effect{}, err
	}
	var mu sync.Mutex
	var seen []string
	err := each(targets, func(m lab.Member) error {
		c, err := lab.Can[lab.Damager](m)
		if err != nil {
			return err
		}
		if err := kill(ctx, s, m); err != nil {
			return err
		}
		d := f.Damage
		d.Seed = seed.Of(s.Seed, "damage/"+m.Name())
		done, err := c.Damage(ctx, d)
		if err != nil {
			return err
		}
		s.damaged(m, history.Damage{Kind: done.Kind, AtRest: true, Count: 1, What: done.String()})
		if err := s.start(ctx, m); err != nil {
			return err
		}
		how, err := s.verdictOf(ctx, m, s.slow(f.Within))
		if err != nil {
			return err
		}
		s.event(history.EventFault, m.Name(), how)
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, m.Name()+": "+done.String()+"; "+how)
		return nil
	})
	slices.Sort(seen)
	return Effect{Observed: err == nil && len(seen) == len(targets), Message: strings.Join(seen, "; ")}, err
}

// verdictOf says what etcd makes of its data: whether it ended or answers.
func (s *Scene) verdictOf(ctx context.Context, m lab.Member, within time.Duration) (string, error) {
	how := "etcd neither ended nor answered within " + within.String()
	_, err := until(ctx, within, func(ctx context.Context) (bool, error) {
		i, err := m.Info(ctx)
		if err != nil {
			return false, err
		}
		if i.State == lab.StateStopped {
			how = "etcd refused it: " + i.Exit
			s.event(history.EventExited, m.Name(), i.Exit)
			return true, nil
		}
		if s.Cluster == nil {
			return false, nil
		}
		short, cancel := context.WithTimeout(ctx, s.slow(500*time.Millisecond))
		defer cancel()
		if _, err := s.Cluster.Client(m.Name()).Get(short, "etcdlab-probe"); err == nil {
			how = "etcd serves with it"
			return true, nil
		}
		return false, nil
	})
	return how, err
}

// Heal undoes the damage where the file is still as it was left. Where etcd has
// gone on with it, nothing says what else is wrong by now: the member's disk is
// replaced, and it joins the cluster anew, as an operator would have it.
func (f *FileDamage) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	return each(targets, func(m lab.Member) error {
		c, err := lab.Can[lab.Damager](m)
		if err != nil {
			return err
		}
		if err := kill(ctx, s, m); err != nil {
			return err
		}
		all, err := c.Repair(ctx)
		if err != nil {
			return err
		}
		info, err := m.Info(ctx)
		if err != nil {
			return err
		}
		if !info.Wiped && !slices.ContainsFunc(all, func(r lab.Repaired) bool { return !r.Restored }) {
			s.repaired(m, "every byte is as it was before")
			return s.start(ctx, m)
		}
		return s.replace(ctx, m, targets)
	})
}

// replace gives a member a fresh disk and has it join the cluster anew.
func (s *Scene) replace(ctx context.Context, m lab.Member, targets []lab.Member) error {
	w, err := lab.Can[lab.Wiper](m)
	if err != nil {
		return err
	}
	info, err := m.Info(ctx)
	if err != nil {
		return err
	}
	if !info.Wiped {
		if err := w.Wipe(ctx); err != nil {
			return err
		}
	}
	via := s.other(targets)
	if via == "" || s.Cluster == nil {
		return fmt.Errorf("replace the disk of %s: no member is left to join", m.Name())
	}
	j := &etcd.Joiner{Via: s.Cluster.Client(via), Slow: s.Slow}
	if err := j.Rejoin(ctx, m); err != nil {
		return err
	}
	s.repaired(m, "its disk was replaced, and it joined anew")
	return s.Cluster.Learn(ctx)
}

func (s *Scene) repaired(m lab.Member, message string) {
	s.event(history.EventRepaired, m.Name(), message)
	s.event(history.EventHealed, m.Name(), message)
}

// other names a member that is none of these.
func (s *Scene) other(targets []lab.Member) string {
	for _, m := range s.Members {
		if !slices.ContainsFunc(targets, func(t lab.Member) bool { return t.Name() == m.Name() }) {
			return m.Name()
		}
	}
	return ""
}
