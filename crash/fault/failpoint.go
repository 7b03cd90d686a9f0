package fault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/failpoint"
)

// Failpoint panics etcd at a point compiled into it. It is armed on every
// target; which of them reach it depends on the point: only a leader reaches
// raftBeforeLeaderSend, only a follower raftBeforeFollowerSend.
type Failpoint struct {
	Point string
	// Within bounds the wait for the first target to reach the point; zero is 5 s.
	Within time.Duration
}

// othersWithin is how long the other targets have once one has panicked.
const othersWithin = 300 * time.Millisecond

var failpointKinds = []Kind{
	{
		Name: NameFailpoint, Group: GroupFailpoint,
		Doc: "etcd panics at a point compiled into it, sleeps there or is given a value, on whichever targets reach it",
		Params: []Param{
			{Name: "point", Doc: "gofail's name of it; `etcdlab failpoints` lists them", Type: text(nil), Default: "raftBeforeSave"},
			{Name: "action", Doc: "panic, or what else gofail can do there until healed, such as sleep(\"100ms\") or return(\"x\")", Type: text(checkAction), Default: actionPanic},
			{Name: "within", Doc: "how long the first target has to reach it", Type: duration(), Default: "5s"},
		},
		New: func(a Args) (Fault, error) {
			f := Failpoint{Point: a.Text("point"), Within: a.Duration("within")}
			if action := a.Text("action"); action != actionPanic {
				return &FailTerms{f, action}, nil
			}
			return &f, nil
		},
	},
}

func (*Failpoint) Needs(m lab.Member) error { return needs[lab.Runner](m) }

// Apply arms the point and waits for the panic: a process must have ended.
// Arming is not reaching.
func (f *Failpoint) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	within, points, err := f.points(ctx, s, targets)
	if err != nil {
		return Effect{}, err
	}
	err = each(targets, func(m lab.Member) error {
		if err := points[m.Name()].Set(ctx, f.Point, `panic("etcdlab")`); err != nil {
			return err
		}
		s.event(history.EventFault, m.Name(), "armed: panic at "+f.Point)
		return nil
	})
	if _, unknown := errors.AsType[*failpoint.UnknownError](err); unknown {
		return Effect{}, err
	}
	// What leads to the point goes on until it is reached, and is then over.
	provoking, enough := context.WithCancel(ctx)
	var provoked sync.WaitGroup
	provoked.Go(func() { f.provoke(provoking, s, targets) })
	// A point on a hot path may end etcd before gofail has answered.
	panicked, seenErr := s.ended(ctx, targets, within, lingers(targets, points, f.Point, s.slow(othersWithin)))
	enough()
	provoked.Wait()
	if seenErr == nil {
		seenErr = f.stuck(ctx, s, targets, points, panicked)
	}
	if seenErr != nil {
		return Effect{}, errors.Join(err, seenErr)
	}
	var mu sync.Mutex
	disarmErr := each(targets, func(m lab.Member) error {
		mu.Lock()
		_, gone := panicked[m.Name()]
		mu.Unlock()
		if gone {
			return nil
		}
		how, gone, err := s.disarm(ctx, m, points[m.Name()], f.Point)
		if gone {
			mu.Lock()
			panicked[m.Name()] = how
			mu.Unlock()
		}
		return err
	})
	for name, how := range panicked {
		s.event(history.EventExited, name, how)
	}
	if disarmErr != nil {
		return Effect{}, errors.Join(err, disarmErr)
	}
	if len(panicked) == 0 {
		return Effect{Message: fmt.Sprintf("%s was not reached within %v", f.Point, within)}, err
	}
	names := slices.Sorted(maps.Keys(panicked))
	return Effect{Observed: true, Message: fmt.Sprintf("panic at %s on %s", f.Point, strings.Join(names, ", "))}, nil
}

// points are gofail's servers of the targets; within is how long the first of
// them has to reach the point.
func (f *Failpoint) points(ctx context.Context, s *Scene, targets []lab.Member) (within time.Duration, points map[string]*failpoint.Client, err error) {
	within = f.Within
	if within == 0 {
		within = 5 * time.Second
	}
	if p := f.provoker(); p != nil && len(s.Members) >= p.members {
		within = max(within, p.within)
	}
	within = s.slow(within)
	points = make(map[string]*failpoint.Client, len(targets))
	for _, m := range targets {
		info, err := m.Info(ctx)
		if err != nil {
			return 0, nil, err
		}
		if info.FailpointURL == "" {
			return 0, nil, &lab.UnsupportedError{Member: m.Name(), Capability: "failpoint", Reason: "its etcd was built without failpoints"}
		}
		points[m.Name()] = failpoint.New(info.FailpointURL)
	}
	return within, points, nil
}

// lookEvery is how often gofail is asked whether a point was reached.
const lookEvery = 50 * time.Millisecond

// lingers says, asked again and again, whether a member has lived for so long
// since it was seen to have reached the point: what panicked was recovered, as
// net/http does in its handlers, or waits.
func lingers(members []lab.Member, points map[string]*failpoint.Client, point string, long time.Duration) func(context.Context) bool {
	var looked, reached time.Time
	return func(ctx context.Context) bool {
		if !reached.IsZero() {
			return time.Since(reached) > long
		}
		if time.Since(looked) < lookEvery {
			return false
		}
		looked = time.Now()
		for _, m := range members {
			short, cancel := context.WithTimeout(ctx, lookEvery)
			n, err := points[m.Name()].Count(short, point)
			cancel()
			if err == nil && n > 0 {
				reached = time.Now()
			}
		}
		return false
	}
}

// stuck ends the members that have reached the point and yet live on: the panic was
// recovered, or a deferred call of its goroutine waits for others, for seconds.
func (f *Failpoint) stuck(ctx context.Context, s *Scene, targets []lab.Member, points map[string]*failpoint.Client, panicked map[string]string) error {
	var mu sync.Mutex
	return each(targets, func(m lab.Member) error {
		// Where it does not answer, or cannot say, disarm will tell.
		n, err := points[m.Name()].Count(ctx, f.Point)
		mu.Lock()
		_, gone := panicked[m.Name()]
		mu.Unlock()
		if err != nil || n == 0 || gone {
			return nil
		}
		if how, ended, err := exited(ctx, m, s.slow(othersWithin)); err != nil || ended {
			mu.Lock()
			defer mu.Unlock()
			if err == nil && !strings.HasPrefix(how, "signal:") {
				panicked[m.Name()] = how
			}
			return err
		}
		if err := kill(ctx, s, m); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		panicked[m.Name()] = "reached " + f.Point + ", and was killed as its panic was recovered or waited for a deferred call"
		return nil
	})
}

// A member may reach the point while it is disarmed: it is then about to end,
// and must have when Heal comes, which would take it for one that runs. One that
// answers does so within stillWithin, one that does not within goneWithin.
const (
	stillWithin = 50 * time.Millisecond
	goneWithin  = 5 * time.Second
)

// disarm clears the point on a member that has not panicked, and sees whether
// it does after all. A point that may still be armed is an error.
func (s *Scene) disarm(ctx context.Context, m lab.Member, c *failpoint.Client, point string) (how string, gone bool, err error) {
	within := s.slow(stillWithin)
	clearErr := c.Clear(ctx, point)
	if clearErr != nil {
		within = s.slow(goneWithin)
	}
	how, gone, err = exited(ctx, m, within)
	if err == nil && !gone {
		err = clearErr
	}
	return how, gone, err
}

// ended waits for the first of the members to end by itself, then a little for
// the others, and gives how each that did ended. enough, which may be nil, says
// that there is nothing more to wait for.
func (s *Scene) ended(ctx context.Context, members []lab.Member, within time.Duration, enough func(context.Context) bool) (map[string]string, error) {
	gone := map[string]string{}
	look := func(ctx context.Context) (bool, error) {
		for _, m := range members {
			info, err := m.Info(ctx)
			if err != nil {
				return false, err
			}
			// What was killed did not end by itself.
			if info.State == lab.StateStopped && !strings.HasPrefix(info.Exit, "signal:") {
				gone[m.Name()] = info.Exit
			}
		}
		return len(gone) > 0, nil
	}
	_, err := until(ctx, within, func(ctx context.Context) (bool, error) {
		first, err := look(ctx)
		return first || err == nil && enough != nil && enough(ctx), err
	})
	if err != nil || len(gone) == 0 {
		return gone, err
	}
	_, err = until(ctx, s.slow(othersWithin), func(ctx context.Context) (bool, error) {
		_, err := look(ctx)
		return len(gone) == len(members), err
	})
	return gone, err
}

// Heal starts etcd again; a new process has no point armed. What led etcd to the
// point may have started it with the point armed, so that one is not trusted to
// be another.
func (f *Failpoint) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	return each(targets, func(m lab.Member) error {
		if p := f.provoker(); p != nil && p.restarts {
			if err := kill(ctx, s, m); err != nil {
				return err
			}
		}
		return s.start(ctx, m)
	})
}

// Late starts the targets that the point ended after all, once it was disarmed:
// on a busy machine a process that panics takes its time. It says whether there
// were any.
func (f *Failpoint) Late(ctx context.Context, s *Scene, targets []lab.Member) (bool, error) {
	return s.startLate(ctx, targets, func(exit string) bool { return strings.Contains(exit, panicText) })
}

// startLate starts the members that have ended as of says that the fault's do.
func (s *Scene) startLate(ctx context.Context, members []lab.Member, of func(exit string) bool) (late bool, err error) {
	for _, m := range members {
		info, err := m.Info(ctx)
		if err != nil {
			return late, err
		}
		if info.State != lab.StateStopped || !of(info.Exit) {
			continue
		}
		late = true
		s.event(history.EventExited, m.Name(), info.Exit)
		if err := s.start(ctx, m); err != nil {
			return late, err
		}
	}
	return late, nil
}

// panicText is what gofail's panic says in etcd's last words.
const panicText = "failpoint panic: etcdlab"
