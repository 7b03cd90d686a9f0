package series

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
)

// vain is how many legs in a row may fail to be played, for want of something
// that is not etcd's, before the series ends: it can be resumed.
const vain = 3

// Play plays the legs that are left and has each judged. Its error means that it
// could not be carried out to its end; what was played is there, and Open goes on
// with it.
func (s *Series) Play(ctx context.Context, parts Parts) (err error) {
	p := &player{Series: s, Parts: parts, unsure: true}
	if err := p.resume(); err != nil {
		return err
	}
	court := p.open(ctx)
	defer func() { err = errors.Join(err, court.close()) }()
	for failed := 0; ; {
		n, lasts := s.upcoming()
		if lasts == 0 {
			return ctx.Err()
		}
		if err := court.wait(ctx); err != nil {
			return err
		}
		err := p.leg(ctx, n, lasts)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			failed = 0
		default:
			p.Progress("leg %d: %v", n, err)
			if failed++; failed == vain {
				return fmt.Errorf("%d legs in a row could not be played: %w", vain, err)
			}
		}
		court.call()
	}
}

// player is a series while it is played.
type player struct {
	*Series
	Parts
	// unsure says that the lab may not be what it should be.
	unsure bool
	// loadEnd is when the last leg's load had stopped, of CLOCK_MONOTONIC.
	loadEnd int64
}

// resume goes on with what another etcdlab left.
func (p *player) resume() error {
	if p.state.Legs > 0 && (p.state.open != 0 || len(p.state.pending) > 0 || p.Plan.next(p.state.Played) > 0) {
		if err := p.note(&Entry{Kind: KindResumed}); err != nil {
			return err
		}
	}
	return p.shut()
}

// shut ends the leg that a killed etcdlab left open. One that left nothing to judge
// is begun again.
func (p *player) shut() error {
	open := p.state.open
	if open == 0 {
		return nil
	}
	dir := p.runDir(open)
	if dir == "" {
		return os.RemoveAll(filepath.Join(p.Dir, legDir(open)))
	}
	of := accountOf(filepath.Join(p.Dir, dir))
	return p.note(&Entry{
		Kind: KindPlayed, Leg: open, Dir: dir, Played: of.lasted, Tally: &of.tally, Error: "etcdlab was killed while it played",
	})
}

// runDir is the run directory of a leg, relative to the series'; "" is that it
// has none that can be judged.
func (p *player) runDir(leg int) string {
	found, _ := filepath.Glob(filepath.Join(p.Dir, legDir(leg), "*", history.FileRun))
	if len(found) == 0 {
		return ""
	}
	rel, err := filepath.Rel(p.Dir, filepath.Dir(found[0]))
	if err != nil {
		return ""
	}
	return rel
}

// leg plays one leg on a lab that is fit for it.
func (p *player) leg(ctx context.Context, n int, lasts time.Duration) error {
	if err := p.fit(ctx); err != nil {
		return err
	}
	if err := p.room(lasts); err != nil {
		return err
	}
	o := p.Plan.options(n, lasts, filepath.Join(p.Dir, legDir(n)))
	o.Progress = func(format string, args ...any) { p.Progress("leg %d: "+format, append([]any{n}, args...)...) }
	if err := p.note(&Entry{Kind: KindBegun, Leg: n, Seed: o.Seed}); err != nil {
		return err
	}
	r, err := p.Run(ctx, o)
	if r == nil { // there is nothing to judge: it will be begun again
		p.unsure = true
		return err
	}
	of := accountOf(r.Dir)
	e := &Entry{Kind: KindPlayed, Leg: n, Dir: p.runDir(n), Tally: &of.tally, Played: of.lasted}
	if err != nil {
		e.Error = err.Error()
	}
	if p.loadEnd != 0 && r.LoadStart != 0 {
		e.Gap = time.Duration(r.LoadStart - p.loadEnd)
	}
	p.loadEnd = r.LoadEnd
	if err != nil || !of.whole {
		p.unsure, p.loadEnd = true, 0
	}
	noteErr := p.note(e)
	if noteErr == nil && err == nil && p.Tidy != nil && !p.unsure {
		if tidyErr := p.Tidy(ctx); tidyErr != nil && ctx.Err() == nil {
			p.Progress("leg %d: %v", n, tidyErr)
			p.unsure = true
		}
	}
	return errors.Join(err, noteErr)
}

// fit brings the lab to what it should be where it may not be that; one on which
// a leg failed is made anew, as the damage would be found again and again.
func (p *player) fit(ctx context.Context) error {
	p.mu.Lock()
	spoilt := p.state.spoilt
	p.mu.Unlock()
	if !p.unsure && !spoilt {
		return nil
	}
	p.loadEnd = 0 // what is between is no gap
	if spoilt {
		p.Progress("making the lab anew: a leg failed on this one")
		if err := p.Down(ctx); err != nil {
			return err
		}
	}
	made, err := p.Up(ctx)
	if err != nil && ctx.Err() == nil && !hopeless(err) {
		p.Progress("%v; making the lab anew", err)
		if err := p.Down(ctx); err != nil {
			return err
		}
		made, err = p.Up(ctx)
	}
	if err != nil {
		return err
	}
	p.unsure = false
	return p.note(&Entry{Kind: KindLab, Made: made})
}

// hopeless says that a lab cannot be had by making it anew, or that the one there
// is not the series'.
func hopeless(err error) bool {
	return errors.As(err, new(*lab.SpecChangedError)) || errors.As(err, new(*lab.UsageError)) || errors.As(err, new(*lab.EnvironmentError))
}

// room looks for space for a leg, and makes some at the cost of clean evidence.
func (p *player) room(lasts time.Duration) error {
	legs := filepath.Join(p.Dir, DirLegs)
	err := crash.CheckDir(legs, lasts)
	if err == nil {
		return nil
	}
	if reduceErr := p.reduce(0, p.Plan.KeepOthers); reduceErr != nil {
		return errors.Join(err, reduceErr)
	}
	return crash.CheckDir(legs, lasts)
}

// JudgeAgain judges every leg whose evidence is there.
func (s *Series) JudgeAgain(ctx context.Context, parts Parts) error {
	p := &player{Series: s, Parts: parts}
	if err := p.shut(); err != nil {
		return err
	}
	var legs []Leg
	for _, e := range p.state.evidence {
		legs = append(legs, Leg{N: e.Leg, Dir: p.runDir(e.Leg)})
	}
	for _, leg := range append(legs, p.state.pending...) {
		if err := p.judge(ctx, leg); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
