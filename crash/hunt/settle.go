package hunt

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/verify"
	"github.com/etcdlab/etcdlab/lab/etcd"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// seeds is how many a rate is measured with.
const seeds = 10

// Of every few runs of a candidate so many must fail for it to be taken.
const (
	tries = 3
	need  = 2
)

// weakScenarios is how many scenarios that seldom do it again are tried for one
// finding before the best is made of the last.
const weakScenarios = 4

// settle makes a finding as small as it still happens, measures how often it
// does, and looks for a release that passes. What it cannot do in time is left.
// One that seldom happens again waits for a better scenario, unless this is the
// last chance.
func (h *hunter) settle(ctx context.Context, f *Finding, last bool) {
	f.Rate = h.repeat(ctx, f, f.file)
	h.o.Progress("finding %s: %s again", f.ID, f.Rate)
	if f.Rate.Failed < need && !last {
		f.weak = true
		f.weakly++
		h.keep(f)
		return
	}
	h.mu.Lock()
	h.queue = slices.DeleteFunc(h.queue, func(x *Finding) bool { return x == f })
	h.mu.Unlock()
	// A part of what is left, so that others can be settled too; the end of that
	// is for the rate and the releases.
	left := time.Until(h.deadline)
	share := max(left*6/10, min(left, 4*time.Minute))
	measure := min(3*seeds*h.took/time.Duration(len(h.stands)), share/2)
	all, cancel := context.WithTimeout(ctx, share)
	defer cancel()
	part, stop := context.WithTimeout(all, max(share-measure, 0))
	defer stop()

	h.shrink(part, f)
	if !h.passed() {
		all = ctx // one that is measured is worth more than others that are not
	}
	if all.Err() == nil && f.Rate.Failed > 0 {
		f.file.Run.Checks = []string{f.Check}
		for f.Rate = h.rate(all, f, f.file); f.Rate.Failed*2 < f.Rate.Of && all.Err() == nil; f.Rate = h.rate(all, f, f.file) {
			longer, ok := stronger(f.file)
			if !ok {
				break
			}
			h.o.Progress("finding %s: %s; with more of it", f.ID, f.Rate)
			f.file = longer
		}
		h.o.Progress("finding %s: %s seeds fail", f.ID, f.Rate)
		h.keep(f)
		h.later(all, f)
	}
	h.keep(f)
}

// passed says whether a release was found that passes on some finding.
func (h *hunter) passed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.report.Findings, func(f *Finding) bool { return f.Passes != nil })
}

// keep stores a finding; a disk that is full ends the hunt.
func (h *hunter) keep(f *Finding) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := f.store(); err != nil {
		h.err = err
	}
}

// repeat plays a finding's scenario again, on labs of its own.
func (h *hunter) repeat(ctx context.Context, f *Finding, s *spec.Scenario) Rate {
	return h.trial(ctx, f, s, f.Etcd, 100, 4, 3, 3)
}

// shrink takes away what a finding does not need.
func (h *hunter) shrink(ctx context.Context, f *Finding) {
	for f.Rate.Failed < need && ctx.Err() == nil {
		longer, ok := stronger(f.file)
		if !ok {
			break
		}
		h.o.Progress("finding %s: with more of it", f.ID)
		r := h.repeat(ctx, f, longer)
		h.o.Progress("finding %s: %s again", f.ID, r)
		if r.Failed < f.Rate.Failed {
			break
		}
		f.Rate, f.file = r, longer
	}
	if f.Rate.Failed == 0 {
		return
	}
	least := min(need, max(1, f.Rate.Failed)) // what seldom happens may stay seldom
	var done bool
	f.file, done, _ = Shrink(ctx, f.file, func(ctx context.Context, s *spec.Scenario) (bool, error) {
		return h.trial(ctx, f, s, f.Etcd, 200, tries, least, tries-least+1).Failed >= least, nil
	}, func(s *spec.Scenario) {
		f.file = s
		h.o.Progress("finding %s: still with %s", f.ID, describe(s))
		h.keep(f)
	})
	f.Shrunk = done || ctx.Err() != nil
}

func (h *hunter) rate(ctx context.Context, f *Finding, s *spec.Scenario) Rate {
	return h.trial(ctx, f, s, f.Etcd, 1, seeds, seeds, seeds)
}

// trial plays a scenario with seeds from first on, each on a lab of its own, until
// n were played, so many failed in the finding's way or so many did not.
func (h *hunter) trial(ctx context.Context, f *Finding, s *spec.Scenario, version string, first uint64, n, failures, passes int) (r Rate) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	begun := 0
	s = s.Clone()
	for _, stand := range h.stands {
		wg.Go(func() {
			for {
				mu.Lock()
				enough := begun == n || r.Failed >= failures || r.Of-r.Failed >= passes || ctx.Err() != nil
				seed := first + uint64(begun)
				begun++
				mu.Unlock()
				if enough {
					return
				}
				failed, ok := h.try(ctx, stand, f, s, version, seed)
				mu.Lock()
				if ok {
					r.Of++
				}
				if failed {
					r.Failed++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return r
}

// try plays once; ok says that it came to a verdict. On another release than the
// finding's failed is anything but a pass.
func (h *hunter) try(ctx context.Context, stand *stand, f *Finding, s *spec.Scenario, version string, seed uint64) (failed, ok bool) {
	if version != f.Etcd {
		s = change(s, func(s *spec.Scenario) {
			s.Lab.Etcd.Version = version
			s.Lab.Etcd.Args, _ = etcd.Flags(etcd.Settings(s.Lab.Etcd.Args), version)
		})
	}
	out, err := stand.play(ctx, s, seed, true)
	if ctx.Err() != nil {
		if out != nil {
			out.discard()
		}
		return false, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.report.Trials++
	if err != nil {
		h.report.Broken++
		h.o.Progress("a trial of finding %s broke off: %v", f.ID, err)
		return version != f.Etcd, true
	}
	h.took = (3*h.took + out.Took) / 4
	if version != f.Etcd {
		out.discard()
		return out.Verdict.Verdict != verify.Pass, true
	}
	if !f.shows(out.Shapes) {
		out.discard()
		return false, true
	}
	f.saw(s, out.Shapes)
	f.Message = messageOf(out.Verdict, f)
	if err := out.keep(f.Evidence); err != nil {
		h.err = err
	}
	return true, true
}

// stronger does three times as much, within reason.
func stronger(s *spec.Scenario) (*spec.Scenario, bool) {
	const rounds, lasts = 15, 15 * time.Second
	if s.Run.Rounds >= rounds || s.Run.Duration >= lasts {
		return nil, false
	}
	return change(s, func(s *spec.Scenario) {
		s.Run.Rounds = min(3*s.Run.Rounds, rounds)
		s.Run.Duration = min(3*s.Run.Duration, lasts)
	}), true
}
