package series

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/etcdlab/etcdlab/crash/verify"
)

// court has legs judged, one at a time, while others play.
type court struct {
	p      *player
	called chan struct{} // a leg was played, or there will be none any more
	judged chan struct{}
	done   chan struct{}
	last   chan struct{} // closed when there will be none any more
	err    error         // of done
}

// open begins to judge what was played and not judged.
func (p *player) open(ctx context.Context) *court {
	c := &court{p: p, called: make(chan struct{}, 1), judged: make(chan struct{}, 1), done: make(chan struct{}), last: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.err = c.sit(ctx)
	}()
	return c
}

func (c *court) sit(ctx context.Context) error {
	for {
		leg, ok := c.p.oldest()
		if !ok {
			select {
			case <-c.called:
				continue
			case <-c.last:
				if _, ok := c.p.oldest(); !ok {
					return nil
				}
				continue
			case <-ctx.Done():
				return nil
			}
		}
		if err := c.p.judge(ctx, leg); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		poke(c.judged)
	}
}

// call says that a leg was played.
func (c *court) call() { poke(c.called) }

// close waits until all that was played was judged.
func (c *court) close() error {
	close(c.last)
	<-c.done
	return c.err
}

// wait waits until at most one leg is to be judged: else the evidence grows
// faster than it is looked at.
func (c *court) wait(ctx context.Context) error {
	for told := false; ; {
		c.p.mu.Lock()
		n := len(c.p.state.pending)
		c.p.mu.Unlock()
		if n <= 1 {
			return ctx.Err()
		}
		if !told {
			c.p.Progress("waiting for leg %d to be judged", c.p.state.Legs-1)
			told = true
		}
		select {
		case <-c.judged:
		case <-c.done:
			return errors.Join(ctx.Err(), c.err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// oldest is the leg that is to be judged next.
func (s *Series) oldest() (Leg, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.state.pending) == 0 {
		return Leg{}, false
	}
	return s.state.pending[0], true
}

// judge has a leg judged and makes room for its evidence. One that could not be
// judged, where nobody interrupted it, is an error of the leg.
func (p *player) judge(ctx context.Context, leg Leg) error {
	begun := time.Now()
	v, err := p.Judge(ctx, filepath.Join(p.Dir, leg.Dir))
	if err != nil && ctx.Err() != nil {
		return nil // another etcdlab will judge it
	}
	if err != nil {
		v = &verify.Verdict{Verdict: verify.Error, Reason: "it could not be judged: " + err.Error()}
	}
	e := &Entry{
		Kind: KindJudged, Leg: leg.N, Verdict: v.Verdict, Reason: v.Reason, Operations: v.Operations, Observed: v.Faults,
		Judging: time.Since(begun), Checks: map[string]verify.Result{},
	}
	for _, c := range v.Checks {
		e.Checks[c.Name] = c.Verdict
	}
	if e.Bytes, err = size(filepath.Join(p.Dir, leg.Dir)); err != nil {
		return fmt.Errorf("measure the evidence of leg %d: %w", leg.N, err)
	}
	if err := p.note(e); err != nil {
		return err
	}
	p.Progress("leg %d: %s%s", leg.N, v.Verdict, because(v.Reason))
	return p.reduce(p.Plan.KeepClean, p.Plan.KeepOthers)
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
