package fault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/internal/seed"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/failpoint"
)

// Moments of a power loss beside those of lab.Moments.
const (
	atRandom    = "random"    // whenever it is
	atFailpoint = "failpoint" // when etcd is seen to end at one
)

func powerMoments() []string {
	return []string{atRandom, lab.AtFlush, lab.AtMeta, lab.AtWALRoll, lab.AtSnapRename, atFailpoint}
}

func powerParams() []Param {
	file := fileParam(anyFile)
	file.Doc = "whose flush, of at: flush"
	within := withinParam
	within.Doc = "how long the moment has to come; without it no power is lost"
	return []Param{
		{Name: "cut", Doc: "what the disks keep of un-flushed writes", Type: word(Policies()...), Default: string(Mixed)},
		{Name: "at", Doc: "the moment from which the disk of the target that it comes to first holds back: a flush, a write of bbolt's meta pages, a new WAL segment, a rename in snap/, a panic at a failpoint", Type: word(powerMoments()...), Default: atRandom},
		{Name: "nth", Doc: "of such moments", Type: count(1), Default: "1"},
		file,
		{Name: "point", Doc: "gofail's name of the failpoint, of at: failpoint", Type: text(nil), Default: "raftBeforeSave"},
		within,
		{Name: "again", Doc: "so many more losses of power while the targets recover", Type: count(0), Default: "0"},
	}
}

func newPowerLoss(a Args) (Fault, error) {
	p := &PowerLoss{Policy: Policy(a.Text("cut")), Within: a.Duration("within"), Again: a.Count("again")}
	switch at := a.Text("at"); at {
	case atRandom:
		return p, nil
	case atFailpoint:
		p.Moment, p.Point = lab.Moment{At: lab.AtExit}, a.Text("point")
	case lab.AtFlush:
		p.Moment = lab.Moment{At: at, File: a.file(), Nth: uint64(a.Count("nth"))}
	default:
		p.Moment = lab.Moment{At: at, Nth: uint64(a.Count("nth"))}
	}
	if a.file() != "" && p.Moment.At != lab.AtFlush {
		return nil, errors.New("a file is of at: flush only")
	}
	return p, p.Moment.Check()
}

// hold has every target's disk hold flushes back: at once, or when the moment
// comes to the first of them. It is false if that did not come.
func (p *PowerLoss) holdAll(ctx context.Context, s *Scene, targets []lab.Member) (came bool, err error) {
	if p.Moment.At == "" {
		return true, each(targets, func(m lab.Member) error { return p.hold(ctx, s, m) })
	}
	begun := clock.Now()
	waiting, enough := context.WithCancel(ctx)
	defer enough()
	var mu sync.Mutex
	var first string
	var provoked sync.WaitGroup
	if p.Point != "" {
		provoked.Go(func() {
			if err := p.armPoint(waiting, s, targets); err != nil && waiting.Err() == nil {
				s.event(history.EventFault, "", "failpoint "+p.Point+" was not armed: "+err.Error())
				enough()
			}
		})
	}
	err = each(targets, func(m lab.Member) error {
		c, err := lab.Can[lab.EventHolder](m)
		if err != nil {
			return err
		}
		h, err := c.HoldAt(waiting, p.Moment, min(s.slow(p.Within), time.Minute))
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil && h.Fired:
			if first == "" {
				first = m.Name()
			}
			enough()
			s.timed(history.EventHeld, m.Name(), fmt.Sprintf("%s came; %d flushes in flight held back, %d writes uncovered", p.moment(), h.Flushes, h.Uncovered), begun)
			return nil
		case waiting.Err() != nil && ctx.Err() == nil:
			return nil // it came to another
		}
		return err
	})
	enough()
	provoked.Wait()
	if err != nil || first == "" {
		return false, errors.Join(err, p.disarmPoint(ctx, s, targets))
	}
	rest := slices.DeleteFunc(slices.Clone(targets), func(m lab.Member) bool { return m.Name() == first })
	return true, each(rest, func(m lab.Member) error { return p.hold(ctx, s, m) })
}

// moment is what was waited for, in words.
func (p *PowerLoss) moment() string {
	switch {
	case p.Point != "":
		return "the panic at " + p.Point
	case p.Moment.File != "":
		return fmt.Sprintf("%s %d of the file %s", p.Moment.At, max(1, p.Moment.Nth), p.Moment.File)
	}
	return fmt.Sprintf("%s %d", p.Moment.At, max(1, p.Moment.Nth))
}

// armPoint has etcd panic at the failpoint, and leads it there until ctx ends.
func (p *PowerLoss) armPoint(ctx context.Context, s *Scene, targets []lab.Member) error {
	err := each(targets, func(m lab.Member) error {
		info, err := m.Info(ctx)
		if err != nil {
			return err
		}
		if info.FailpointURL == "" {
			return &lab.UnsupportedError{Member: m.Name(), Capability: "failpoint", Reason: "its etcd was built without failpoints"}
		}
		s.event(history.EventFault, m.Name(), "armed: panic at "+p.Point)
		err = failpoint.New(info.FailpointURL).Set(ctx, p.Point, `panic("etcdlab")`)
		if _, unknown := errors.AsType[*failpoint.UnknownError](err); !unknown {
			return nil // on a hot path etcd may end before gofail has answered
		}
		return err
	})
	if err == nil {
		(&Failpoint{Point: p.Point}).provoke(ctx, s, targets)
	}
	return err
}

func (p *PowerLoss) disarmPoint(ctx context.Context, s *Scene, targets []lab.Member) error {
	if p.Point == "" {
		return nil
	}
	return each(targets, func(m lab.Member) error {
		info, err := m.Info(ctx)
		if err != nil || info.FailpointURL == "" || info.State != lab.StateRunning {
			return err
		}
		_, _, err = s.disarm(ctx, m, failpoint.New(info.FailpointURL), p.Point)
		return err
	})
}

// gone says whether the member's etcd does not run, so that there is nothing to
// freeze: it ended at a failpoint, or by another fault.
func gone(ctx context.Context, m lab.Member) (bool, error) {
	info, err := m.Info(ctx)
	return info.State == lab.StateStopped, err
}

// recoverWithin bounds the wait for the flush of a recovery at which the power
// goes again.
const recoverWithin = 2 * time.Second

// again takes the power away while the targets recover from its loss, at one of
// the first flushes that their starting etcds make.
func (p *PowerLoss) again(ctx context.Context, s *Scene, targets []lab.Member) error {
	for i := range p.Again {
		next := *s
		next.Seed = seed.Of(s.Seed, fmt.Sprintf("again/%d", i))
		q := &PowerLoss{Policy: p.Policy, Within: recoverWithin, orElse: true,
			Moment: lab.Moment{At: lab.AtFlush, Nth: 1 + seed.Of(next.Seed, "nth")%4}}
		if _, err := lab.Can[lab.EventHolder](targets[0]); err != nil {
			q.Moment = lab.Moment{}
		}
		s.event(history.EventFault, "", fmt.Sprintf("the power goes again, %d of %d", i+1, p.Again))
		_, err := q.Apply(ctx, &next, targets)
		if err := errors.Join(err, q.Heal(ctx, &next, targets)); err != nil {
			return err
		}
	}
	return nil
}

// missed is the effect of a moment that did not come.
func (p *PowerLoss) missed(s *Scene) Effect {
	return Effect{Message: fmt.Sprintf("%s did not come within %v, so no power was lost", p.moment(), s.slow(cmp.Or(p.Within, time.Second)))}
}
