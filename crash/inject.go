package crash

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/internal/seed"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/failpoint"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// healWithin bounds one heal, and the wait for a condition that ends a fault.
const (
	healWithin  = 2 * time.Minute
	untilWithin = 2 * time.Minute
)

// stage is one round's step while it is played.
type stage struct {
	r    *run
	n    int
	mu   sync.Mutex
	done []history.Injection // in the order they ended
	cuts []history.Cut
}

// act plays a step that schedule.Round has drawn; at is its place in it.
func (s *stage) act(ctx context.Context, step *spec.Step, at string) error {
	if err := pause(ctx, step.After); err != nil {
		return err
	}
	switch {
	case step.Parallel != nil:
		return s.together(ctx, step.Parallel, at)
	case step.Sequence != nil:
		for i := range step.Sequence {
			if err := s.act(ctx, &step.Sequence[i], fmt.Sprintf("%s/%d", at, i)); err != nil {
				return err
			}
		}
		return nil
	}
	return s.inject(ctx, step, at)
}

// together plays steps at once; the first that fails ends the others, which
// heal what they did.
func (s *stage) together(ctx context.Context, steps []spec.Step, at string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, len(steps))
	for i := range steps {
		wg.Go(func() {
			if errs[i] = s.act(ctx, &steps[i], fmt.Sprintf("%s/%d", at, i)); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	var first error // what the others say is that they were ended
	for _, err := range errs {
		if err != nil && (first == nil || errors.Is(first, context.Canceled)) {
			first = err
		}
	}
	return first
}

// inject does one fault: apply, see its effect, let it last, heal, see it served.
func (s *stage) inject(ctx context.Context, step *spec.Step, at string) (err error) {
	r := s.r
	kind, err := fault.Find(step.Fault)
	if err != nil {
		return err
	}
	f, err := kind.Make(step.With)
	if err != nil {
		return err
	}
	own := seed.Of(roundSeed(r.opts.Seed, s.n), "fault"+at)
	targets, err := r.cluster.pick(ctx, step.Target, seed.Rand(own, "target"))
	if err != nil {
		return err
	}
	in := history.Injection{Fault: step.Fault, With: step.With}
	for _, m := range targets {
		in.Targets = append(in.Targets, m.Name())
	}
	if err := lacking(f, targets); err != nil {
		if !step.Optional {
			return err
		}
		in.Skipped = err.Error()
		s.note(in)
		return nil
	}
	if !kind.Beside {
		give, err := r.members.take(ctx, targets)
		if err != nil {
			return err
		}
		defer give()
	}
	scene := s.scene(own)
	undo, err := r.unhealed.begin(Unhealed{Fault: step.Fault, With: step.With, Targets: in.Targets, Seed: own, RunDir: r.dir.path})
	if err != nil {
		return err
	}
	begun := clock.Now()
	effect, err := f.Apply(ctx, scene, targets)
	if why := cannot(err); why != nil && step.Optional {
		in.Skipped = why.Error()
		s.note(in)
		return undo()
	}
	in.Observed, in.Message, in.ApplyNS = effect.Observed, effect.Message, clock.Since(begun).Nanoseconds()
	if !effect.Observed && in.Message == "" {
		in.Message = "the fault was not seen to take effect"
	}
	if err == nil {
		lasted := clock.Now()
		if step.For >= time.Second || step.Until != "" {
			r.opts.Progress("round %d: %s took effect on %s, and lasts %s", s.n, step.Fault, strings.Join(in.Targets, ","), lasting(step))
		}
		var until string
		until, err = s.last(ctx, step, scene)
		in.LastedNS = clock.Now() - lasted
		if until != "" {
			in.Message += "; " + until
		}
	}
	// Once Apply has begun, the targets are healed whatever happens.
	healCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cluster.slow(healWithin))
	defer cancel()
	healed := clock.Now()
	healErr := f.Heal(healCtx, scene, targets)
	if r.opts.KeepDiskLogs && step.Fault == fault.NamePowerLoss {
		healErr = errors.Join(healErr, r.dir.diskLogs(healCtx, s.n, targets))
	}
	if healErr == nil {
		healErr = undo()
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // each member's account of it says no more
	}
	if err = errors.Join(err, healErr); err == nil && !step.NoWait {
		in.Recovered, err = s.recovered(ctx, f, scene, targets, healed)
	}
	in.RecoveryNS = clock.Now() - healed
	s.note(in)
	return err
}

func lasting(step *spec.Step) string {
	switch {
	case step.Until == "":
		return step.For.String()
	case step.For == 0:
		return "until " + step.Until
	}
	return "until " + step.Until + ", at most " + step.For.String()
}

// recovered waits for a fault's targets to serve.
func (s *stage) recovered(ctx context.Context, f fault.Fault, scene *fault.Scene, targets []lab.Member, healed int64) (bool, error) {
	wait := func() bool {
		return s.r.cluster.serve(ctx, targets, s.r.cluster.slow(s.r.opts.RecoverWithin), s.served(healed))
	}
	if wait() {
		return true, nil
	}
	if p, ok := f.(fault.Latecomer); ok {
		if late, err := p.Late(ctx, scene, targets); err != nil || late {
			return err == nil && wait(), err
		}
	}
	return false, ctx.Err()
}

// cannot is what of an error says that a member cannot be hit so, which it may
// tell only when it is asked to; nil if it says something else.
func cannot(err error) error {
	if e, ok := errors.AsType[*failpoint.UnknownError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*lab.UnsupportedError](err); ok {
		return e
	}
	return nil
}

// lacking says why the targets cannot be hit so.
func lacking(f fault.Fault, targets []lab.Member) error {
	for _, m := range targets {
		if err := f.Needs(m); err != nil {
			return err
		}
	}
	return nil
}

// last lets the fault last as long as its step says, and tells what ended it.
func (s *stage) last(ctx context.Context, step *spec.Step, scene *fault.Scene) (string, error) {
	if step.Until == "" {
		return "", pause(ctx, step.For)
	}
	within := s.r.cluster.slow(untilWithin)
	if step.For != 0 {
		within = step.For
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	seen, err := until(ctx, step.Until, scene)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("until %s was not seen within %v", step.Until, within), nil
	}
	return seen, err
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (s *stage) note(in history.Injection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = append(s.done, in)
}

// served notes that a member serves.
func (s *stage) served(since int64) func(member string) {
	return func(member string) {
		s.r.dir.event(history.Event{Time: clock.Now(), Kind: history.EventServing, Round: s.n, Member: member, Duration: clock.Now() - since})
	}
}

// scene is what a fault acts in.
func (s *stage) scene(own uint64) *fault.Scene {
	return &fault.Scene{
		Round: s.n, Seed: own, Slow: s.r.lab.Slow, Members: s.r.lab.Members, Cluster: s.r.cluster,
		Lab: s.r.lab.Name, Binaries: s.r.opts.Binaries,
		Record: func(e history.Event) {
			if e.Cut != nil {
				s.mu.Lock()
				s.cuts = append(s.cuts, *e.Cut)
				s.mu.Unlock()
			}
			s.r.dir.event(e)
		},
	}
}

// figures are those of the faults together.
func (s *stage) figures(step *spec.Step, fig *history.Figures) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.cuts {
		fig.Uncovered += c.Uncovered
		fig.Dropped += c.Dropped
		fig.Torn += c.Torn
	}
	sum(fig, s.done)
	if fig.Fault == "" {
		fig.Fault = schedule.Describe(step)
	}
}
