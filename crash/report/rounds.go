package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

// round is what the events say of one round.
type round struct {
	N          int
	Start, End int64
	Ended      bool
	Figures    history.Figures // zero unless Ended
	Cuts       []cut
	Missing    []string // who was last seen not serving
}

type cut struct {
	Member string
	history.Cut
}

// rounds gathers the events by round, in order of number.
func rounds(events []history.Event) []*round {
	byNumber := map[int]*round{}
	for i := range events {
		e := &events[i]
		if e.Round <= 0 {
			continue
		}
		r := byNumber[e.Round]
		if r == nil {
			r = &round{N: e.Round, Start: e.Time}
			byNumber[e.Round] = r
		}
		r.End = max(r.End, e.Time)
		switch e.Kind {
		case history.EventRoundEnd:
			r.Ended = true
			if e.Figures != nil {
				r.Figures = *e.Figures
			}
		case history.EventCut:
			if e.Cut != nil {
				r.Cuts = append(r.Cuts, cut{e.Member, *e.Cut})
			}
		case history.EventServing:
			r.Missing = slices.DeleteFunc(r.Missing, func(m string) bool { return m == e.Member })
		case history.EventNotServing:
			who := cmp.Or(e.Member, "the cluster")
			if !slices.Contains(r.Missing, who) {
				r.Missing = append(r.Missing, who)
			}
		}
	}
	all := make([]*round, 0, len(byNumber))
	for _, r := range byNumber {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *round) int { return cmp.Compare(a.N, b.N) })
	return all
}

// kept is not in Figures: a round's own sum of what its cuts left in place.
func (r *round) kept() (n int) {
	for _, c := range r.Cuts {
		n += c.Kept
	}
	return n
}

// odd says that a round did not go as such a round should.
func (r *round) odd() bool { return !r.Ended || !r.Figures.Observed || len(r.Missing) > 0 }

// policies names the cut policies of a round: a mixed run draws one for each
// disk. A round without a cut has none, whatever the run asked for.
func (r *round) policies() string {
	var names []string
	for _, c := range r.Cuts {
		if !slices.Contains(names, c.Policy) {
			names = append(names, c.Policy)
		}
	}
	return strings.Join(names, ", ")
}

// recovery says how long the cluster took to serve again.
func (r *round) recovery() string {
	switch {
	case len(r.Missing) > 0:
		return "never: " + strings.Join(slices.Sorted(slices.Values(r.Missing)), " ")
	case r.Figures.RecoveryNS > 0:
		return duration(r.Figures.RecoveryNS)
	}
	return "–"
}

// group sums rounds of one kind; a run of hundreds is read by these.
type group struct {
	Fault, Target, Policy           string
	Rounds, Observed, NotRecovered  int
	Uncovered, Dropped, Torn, Kept  int
	perSecond                       []float64
	recovery                        []int64
	MedianPerSecond                 float64
	MedianRecovery, LongestRecovery int64 // ns, of those that recovered
}

// groups sums the ended rounds by fault, target and policy, in order of first
// appearance.
func groups(all []*round, run *history.Run) []*group {
	var out []*group
	for _, r := range all {
		if !r.Ended {
			continue
		}
		f := &r.Figures
		fault, target, policy := f.Fault, whom(f.Targets, run), r.policies()
		if strings.Contains(policy, ",") {
			policy = "mixed"
		}
		i := slices.IndexFunc(out, func(g *group) bool {
			return g.Fault == fault && g.Target == target && g.Policy == policy
		})
		if i < 0 {
			i = len(out)
			out = append(out, &group{Fault: fault, Target: target, Policy: policy})
		}
		out[i].add(r)
	}
	for _, g := range out {
		g.MedianPerSecond, _ = middle(g.perSecond)
		g.MedianRecovery, g.LongestRecovery = middle(g.recovery)
	}
	return out
}

func (g *group) add(r *round) {
	f := &r.Figures
	g.Rounds++
	if f.Observed {
		g.Observed++
	}
	g.Uncovered += f.Uncovered
	g.Dropped += f.Dropped
	g.Torn += f.Torn
	g.Kept += r.kept()
	g.perSecond = append(g.perSecond, f.PerSecond)
	switch {
	case len(r.Missing) > 0:
		g.NotRecovered++
	case f.RecoveryNS > 0:
		g.recovery = append(g.recovery, f.RecoveryNS)
	}
}

// middle gives the median (the lower of two) and the largest.
func middle[T cmp.Ordered](values []T) (median, largest T) {
	if len(values) == 0 {
		return median, largest
	}
	slices.Sort(values)
	return values[(len(values)-1)/2], values[len(values)-1]
}
