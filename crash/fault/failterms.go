package fault

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/failpoint"
)

// FailTerms arms a failpoint with terms of gofail that do not end etcd: it sleeps
// there, or the point gives a value. It stays armed until it is healed.
type FailTerms struct {
	Failpoint
	Terms string // such as sleep("100ms") or 50%return("no space")
}

// actionPanic is the action of which etcd ends.
const actionPanic = "panic"

// termsForm is what gofail's terms look like, as far as that they cannot end the
// process: [chance or count][off|return(...)|sleep(...)|print|gofail's break is
// for debuggers][-> more].
var termsForm = regexp.MustCompile(`^([0-9.]+[%*])?(off|sleep\([0-9]+\)|sleep\("[0-9a-zµ.]+"\)|return\([^()]*\)|print(\([^()]*\))?)$`)

// checkAction accepts panic and gofail's terms, joined by "->".
func checkAction(s string) error {
	if s == actionPanic {
		return nil
	}
	for term := range strings.SplitSeq(s, "->") {
		if !termsForm.MatchString(term) {
			return fmt.Errorf(`%q is not panic or terms of gofail such as sleep("100ms"), 50%%return("x") or 1*off->sleep("1s")`, s)
		}
	}
	return nil
}

// Apply arms the point and returns when a target was seen to have come there.
func (f *FailTerms) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	within, points, err := f.points(ctx, s, targets)
	if err != nil {
		return Effect{}, err
	}
	err = each(targets, func(m lab.Member) error {
		s.event(history.EventFault, m.Name(), fmt.Sprintf("armed: %s at %s", f.Terms, f.Point))
		return points[m.Name()].Set(ctx, f.Point, f.Terms)
	})
	if err != nil {
		return Effect{}, err
	}
	provoking, enough := context.WithCancel(ctx)
	var provoked sync.WaitGroup
	if p := f.provoker(); p != nil && !p.restarts {
		provoked.Go(func() { f.provoke(provoking, s, targets) })
	}
	var reached []string
	_, err = until(ctx, within, func(ctx context.Context) (bool, error) {
		reached = reached[:0]
		for _, m := range targets {
			if n, err := points[m.Name()].Count(ctx, f.Point); err == nil && n > 0 {
				reached = append(reached, m.Name())
			}
		}
		return len(reached) > 0, nil
	})
	enough()
	provoked.Wait()
	if err != nil || len(reached) == 0 {
		return Effect{Message: fmt.Sprintf("%s was not reached within %v", f.Point, within)}, err
	}
	slices.Sort(reached)
	return Effect{Observed: true, Message: fmt.Sprintf("%s at %s on %s", f.Terms, f.Point, strings.Join(reached, ", "))}, nil
}

// Heal clears the point and sees it cleared; an etcd that ended is started.
func (f *FailTerms) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	return each(targets, func(m lab.Member) error {
		info, err := m.Info(ctx)
		if err != nil {
			return err
		}
		if info.State != lab.StateRunning {
			return s.start(ctx, m) // a new process has no point armed
		}
		c := failpoint.New(info.FailpointURL)
		if err := c.Clear(ctx, f.Point); err != nil {
			return err
		}
		list, err := c.List(ctx)
		if err != nil {
			return err
		}
		for _, p := range list {
			if p.Name == f.Point && p.Terms != "" {
				return errors.New(f.Point + " is still armed after it was cleared")
			}
		}
		s.event(history.EventHealed, m.Name(), f.Point+" cleared")
		return nil
	})
}
