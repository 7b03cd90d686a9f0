package hunt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/verify"
	"github.com/etcdlab/etcdlab/internal/seed"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Options are one hunt.
type Options struct {
	Space  Space
	Seed   uint64
	Budget time.Duration // for all of it
	Jobs   int           // labs at a time
	// NoFeedback plays the rounds as they are drawn.
	NoFeedback bool
	// Stop ends the hunt once so many findings are settled; 0 is never.
	Stop  int
	Dir   string // of findings
	Lab   string // what the labs' names begin with
	Tool  string // etcdlab's version
	Bench Bench
	// Known gives the IDs of known bugs of the release that a finding under a mix of
	// operations looks like.
	Known func(version string, mix map[string]int, check string, e *verify.Evidence) []string
	// Later are the releases to look for one that passes, in this order.
	Later    []string
	Progress func(format string, args ...any)
}

// Report is what a hunt came to.
type Report struct {
	Verdict  verify.Result `json:"verdict"`
	Etcd     string        `json:"etcd"`
	Seed     uint64        `json:"seed"`
	Plan     string        `json:"plan"` // a hash of all that decides what is drawn
	Rounds   int           `json:"rounds"`
	Judged   int           `json:"judged"`   // of those, with a verdict that is pass or fail
	Trials   int           `json:"trials"`   // runs that shrank and measured findings
	Broken   int           `json:"broken"`   // runs that could not be carried out or judged
	Features int           `json:"features"` // that were reached
	Seconds  float64       `json:"seconds"`
	Findings []*Finding    `json:"findings"`
}

// hunter is a hunt under way.
type hunter struct {
	o        Options
	begun    time.Time
	deadline time.Time
	stands   []*stand

	mu       sync.Mutex
	report   Report
	coverage Coverage
	feedback feedback
	queue    []*Finding // to be settled
	legs     int        // that stands have begun
	took     time.Duration
	failed   int // runs in a row that could not be carried out
	err      error
}

// Run hunts until the budget is spent. What was found is stored as it is found.
func Run(ctx context.Context, o Options) (*Report, error) {
	h := &hunter{o: o, begun: time.Now(), coverage: Coverage{}, feedback: feedback{seed: o.Seed, carried: map[string]int{}, broke: map[string]int{}}, took: 8 * time.Second}
	h.deadline = h.begun.Add(o.Budget)
	h.report = Report{Etcd: o.Space.Version, Seed: o.Seed, Plan: o.Space.Hash(o.Seed), Findings: []*Finding{}}
	work, err := os.MkdirTemp("", "etcdlab-hunt-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	for i := range max(1, o.Jobs) {
		name := fmt.Sprintf("%s-%d", o.Lab, i+1)
		h.stands = append(h.stands, &stand{bench: o.Bench, name: name, dir: filepath.Join(work, name), tool: o.Tool, leg: -1})
	}
	err = h.hunt(ctx)
	for _, s := range h.stands {
		err = errors.Join(err, s.down(ctx))
	}
	h.sum()
	return &h.report, err
}

// hunt explores, and settles what it finds.
func (h *hunter) hunt(given context.Context) error {
	ctx, cancel := context.WithDeadline(given, h.deadline)
	defer cancel()
	for ctx.Err() == nil && h.err == nil {
		h.explore(ctx)
		if f := h.waiting(false); f != nil {
			h.settle(ctx, f, false)
		} else if f := h.waiting(true); f != nil && !h.exploring() {
			h.settle(ctx, f, true)
		}
		if h.o.Stop > 0 && h.settled() >= h.o.Stop {
			break
		}
	}
	if h.err == nil {
		h.err = given.Err()
	}
	return h.err
}

// waiting is the next finding to be settled; those that are likely to be nothing
// new come last, the one that was found most often first.
func (h *hunter) waiting(last bool) (next *Finding) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.queue {
		if (len(f.Known) > 0 || f.Like != "" || f.weak) != last {
			continue
		}
		if !last {
			return f
		}
		if next == nil || f.Hits > next.Hits {
			next = f
		}
	}
	return next
}

func (h *hunter) settled() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.report.Findings {
		if f.Shrunk {
			n++
		}
	}
	return n
}

// exploring says whether rounds are played still. Where nothing but findings that
// seem known waits, a quarter of the budget is for the first of them and half for
// all: to see them small, and where they end, tells whether they are.
func (h *hunter) exploring() bool {
	end := h.deadline
	if h.waiting(true) != nil {
		end = h.begun.Add(h.o.Budget / 2)
		if h.settled() == 0 {
			end = h.begun.Add(h.o.Budget / 4)
		}
	}
	return time.Now().Before(end)
}

// explore plays rounds on every stand until a new finding waits, or the time is up.
func (h *hunter) explore(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range h.stands {
		wg.Go(func() {
			for ctx.Err() == nil && h.exploring() && h.waiting(false) == nil && !h.broken() {
				h.round(ctx, s)
			}
		})
	}
	wg.Wait()
}

func (h *hunter) broken() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err != nil
}

// next is the stand's next round: a leg is played on one stand.
func (h *hunter) next(s *stand) int {
	if s.leg < 0 || s.played == leg {
		s.leg, s.played = h.legs, 0
		h.legs++
	}
	s.played++
	return s.leg*leg + s.played - 1
}

// round plays one round of the hunt and looks at what it showed.
func (h *hunter) round(ctx context.Context, s *stand) {
	h.mu.Lock()
	n := h.next(s)
	sc := Draw(&h.o.Space, h.o.Seed, n)
	if !h.o.NoFeedback {
		sc = h.feedback.shape(n, sc, h.report.Findings)
	}
	h.mu.Unlock()
	out, err := s.play(ctx, sc, seed.Of(h.o.Seed, fmt.Sprintf("play/%d", n))%1_000_000_000, false)
	if ctx.Err() != nil {
		if out != nil {
			out.discard()
		}
		return // the budget is spent
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.report.Rounds++
	h.feedback.note(sc, err == nil && out.Took < tooLong*h.took)
	if err != nil {
		h.fault(n, err)
		return
	}
	h.failed = 0
	h.took = (3*h.took + out.Took) / 4
	if v := out.Verdict.Verdict; v == verify.Pass || v == verify.Fail {
		h.report.Judged++
	}
	fresh := h.coverage.Add(n, out.Features)
	h.o.Progress("round %d: %s of %s in %.1fs, %d new features: %s", n, out.Verdict.Verdict, describe(sc), out.Took.Seconds(), fresh, out.Verdict.Reason)
	if fresh > 0 {
		h.feedback.add(sc)
	}
	if out.Verdict.Verdict != verify.Fail {
		out.discard()
		return
	}
	if err := h.found(n, sc, out); err != nil {
		h.err = err
	}
}

// fault notes a run that could not be carried out; many in a row are the end.
func (h *hunter) fault(n int, err error) {
	h.report.Broken++
	h.o.Progress("round %d broke off: %v", n, err)
	if h.failed++; h.failed >= 8 {
		h.err = fmt.Errorf("%d runs in a row could not be carried out, the last with: %w", h.failed, err)
	}
}

// found looks whether a violation is a new one, and stores it.
func (h *hunter) found(n int, sc *spec.Scenario, out *Outcome) error {
	for _, f := range h.report.Findings {
		if f.shows(out.Shapes) {
			f.Hits++
			f.saw(sc, out.Shapes)
			out.discard()
			if f.weak && f.weakly < weakScenarios {
				// This one may do it more often.
				f.weak, f.file, f.Round, f.Seed = false, sc.Clone(), n, out.Seed
			}
			return nil
		}
	}
	f := h.finding(n, sc, out)
	for _, g := range h.report.Findings {
		if g.Rate.Failed > 0 && contains(f.core, g.core) {
			f.Like = g.ID
		}
	}
	h.o.Progress("finding %s: %s", f.ID, f.Message)
	if err := out.keep(f.Evidence); err != nil {
		return err
	}
	h.report.Findings = append(h.report.Findings, f)
	h.queue = append(h.queue, f)
	return f.store()
}

// finding is what a run showed that no run before it did.
func (h *hunter) finding(n int, sc *spec.Scenario, out *Outcome) *Finding {
	first := out.Shapes[0]
	f := &Finding{
		ID: idOf(h.o.Space.Version, first), Etcd: h.o.Space.Version, Check: first.Check, Signature: first.String(),
		Known: []string{}, Round: n, Seed: out.Seed, Hits: 1, file: sc.Clone(),
	}
	f.dir = filepath.Join(h.o.Dir, f.ID)
	f.Scenario, f.Evidence = filepath.Join(f.dir, scenarioFile), filepath.Join(f.dir, evidenceDir)
	f.saw(sc, out.Shapes)
	f.Message = messageOf(out.Verdict, f)
	for _, c := range out.Verdict.Checks {
		for i := range c.Evidence {
			if c.Verdict != verify.Fail {
				break
			}
			for _, id := range h.o.Known(f.Etcd, sc.Run.Traffic.Weights, c.Name, &c.Evidence[i]) {
				if !slices.Contains(f.Known, id) {
					f.Known = append(f.Known, id)
				}
			}
		}
	}
	return f
}

// messageOf is what a verdict says of a finding.
func messageOf(v *verify.Verdict, f *Finding) string {
	for _, c := range v.Checks {
		for _, e := range c.Evidence {
			if c.Name == f.Check && f.shows([]Shape{{c.Name, abstract(e.Message)}}) {
				return e.Message
			}
		}
	}
	return v.Reason
}

func (h *hunter) sum() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.report.Features, h.report.Seconds = len(h.coverage), time.Since(h.begun).Seconds()
	switch {
	case len(h.report.Findings) > 0:
		h.report.Verdict = verify.Fail
	case h.report.Judged == 0:
		h.report.Verdict = verify.Inconclusive
	default:
		h.report.Verdict = verify.Pass
	}
}
