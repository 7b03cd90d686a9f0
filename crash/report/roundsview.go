package report

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// fewRounds is how many rounds a reader takes in one by one; above it the page
// and the terminal show them summed by kind first.
const fewRounds = 20

// mostRounds is how many rounds the page lists one by one at most.
const mostRounds = 150

// roundsView is the rounds' part of the page.
type roundsView struct {
	Count  int
	Listed int
	Many   bool
	Rows   []roundRow
	Groups []groupRow
	Cuts   []cutRow
	HasCut bool
}

type roundRow struct {
	N                                int
	Fault, Targets, Policy           string
	Uncovered, Dropped, Torn, Kept   string
	PerSecond, Failed, Recovery, All string
	Seen, Message, Class             string
}

type groupRow struct {
	Fault, Target, Policy          string
	Rounds, Seen                   string
	Uncovered, Dropped, Torn, Kept string
	PerSecond, Recovery, Longest   string
	Class                          string
}

type cutRow struct {
	N                                       int
	Member, Policy, Seed, Profile, Position string
	Writes, Flushes, Held                   string
	Uncovered, Dropped, Torn, Kept          string
}

func newRoundsView(d Data) roundsView {
	all := rounds(d.Events)
	out := roundsView{Count: len(all), Many: len(all) > fewRounds}
	for _, r := range notable(all, mostRounds) {
		out.Rows = append(out.Rows, newRoundRow(r))
		for _, c := range r.Cuts {
			out.Cuts = append(out.Cuts, newCutRow(r.N, c))
		}
	}
	out.Listed = len(out.Rows)
	out.HasCut = slices.ContainsFunc(all, func(r *round) bool { return len(r.Cuts) > 0 })
	for _, g := range groups(all, &d.Run) {
		out.Groups = append(out.Groups, newGroupRow(g))
	}
	return out
}

// notable picks at most n rounds, in order: those in which something went
// wrong before the others, the earlier before the later.
func notable(all []*round, n int) []*round {
	if len(all) <= n {
		return all
	}
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b *round) int {
		switch {
		case a.odd() == b.odd():
			return 0
		case a.odd():
			return -1
		}
		return 1
	})
	sorted = sorted[:n]
	slices.SortFunc(sorted, func(a, b *round) int { return cmp.Compare(a.N, b.N) })
	return sorted
}

func newRoundRow(r *round) roundRow {
	f := &r.Figures
	row := roundRow{N: r.N, Fault: "–", Targets: "–", Policy: "–", Uncovered: "–", Dropped: "–", Torn: "–", Kept: "–",
		PerSecond: "–", Failed: "–", Recovery: r.recovery(), All: duration(r.End - r.Start), Seen: "not finished", Class: "bad"}
	if !r.Ended {
		return row
	}
	row.Fault = line(f.Fault)
	if len(r.Cuts) == 0 || r.odd() {
		row.Message = line(f.Message) // of a cut it repeats the figures
	}
	if len(f.Targets) > 0 {
		row.Targets = line(strings.Join(f.Targets, " "))
	}
	if p := r.policies(); p != "" {
		row.Policy = line(p)
	}
	if len(r.Cuts) > 0 {
		row.Uncovered, row.Dropped, row.Torn, row.Kept = number(f.Uncovered), number(f.Dropped), number(f.Torn), number(r.kept())
	}
	row.PerSecond, row.Failed = rate(f.PerSecond), number(f.Failed)
	if f.RoundNS > 0 {
		row.All = duration(f.RoundNS)
	}
	row.Seen, row.Class = "yes", ""
	if !f.Observed {
		row.Seen, row.Class = "no", "unseen"
	}
	if len(r.Missing) > 0 {
		row.Class = "bad"
	}
	return row
}

func newGroupRow(g *group) groupRow {
	row := groupRow{
		Fault: line(g.Fault), Target: g.Target, Policy: "–",
		Rounds: number(g.Rounds), Seen: number(g.Observed),
		Uncovered: number(g.Uncovered), Dropped: number(g.Dropped), Torn: number(g.Torn), Kept: number(g.Kept),
		PerSecond: rate(g.MedianPerSecond), Recovery: "–", Longest: "–",
	}
	if g.Observed < g.Rounds {
		row.Class = "unseen"
	}
	if g.Policy != "" {
		row.Policy = line(g.Policy)
	}
	if g.MedianRecovery > 0 {
		row.Recovery, row.Longest = duration(g.MedianRecovery), duration(g.LongestRecovery)
	}
	if g.NotRecovered > 0 {
		row.Class = "bad"
		row.Longest = "never, in " + counted(g.NotRecovered, "round", "rounds")
	}
	return row
}

func newCutRow(n int, c cut) cutRow {
	return cutRow{
		N: n, Member: line(c.Member), Policy: line(c.Policy), Profile: line(c.Profile),
		Seed: strconv.FormatUint(c.Seed, 10), Position: strconv.FormatUint(c.Position, 10),
		Writes: strconv.FormatUint(c.Writes, 10), Flushes: strconv.FormatUint(c.Flushes, 10), Held: number(c.Held),
		Uncovered: number(c.Uncovered), Dropped: number(c.Dropped), Torn: number(c.Torn), Kept: number(c.Kept),
	}
}
