package report

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

func TestLanes(t *testing.T) {
	at := func(t int64, k history.EventKind, took int64) history.Event {
		return history.Event{Time: t, Kind: k, Member: "m1", Duration: took, Message: "said"}
	}
	type want = span
	for _, c := range []struct {
		name   string
		events []history.Event
		want   []want
	}{
		{"nothing", nil, []want{{up, 0, 100}}},
		{"power loss", []history.Event{
			at(10, history.EventHeld, 2), at(12, history.EventFrozen, 1), at(13, history.EventLinkDown, 0), at(14, history.EventCut, 0),
			at(15, history.EventFrozen, 1), at(16, history.EventKilled, 1), at(30, history.EventRestored, 10), at(30, history.EventMounted, 4),
			at(31, history.EventLinkUp, 0), at(33, history.EventStarted, 1), at(60, history.EventServing, 27)},
			[]want{{up, 0, 8}, {held, 8, 11}, {frozen, 11, 14}, {down, 14, 20}, {mounting, 20, 32}, {starting, 32, 60}, {up, 60, 100}}},
		{"never back", []history.Event{at(10, history.EventExited, 0), at(20, history.EventStarted, 0), at(50, history.EventNotServing, 0)},
			[]want{{up, 0, 10}, {down, 10, 20}, {starting, 20, 50}, {missing, 50, 100}}},
		{"healed pause", []history.Event{at(10, history.EventFrozen, 0), at(20, history.EventHealed, 0)},
			[]want{{up, 0, 10}, {frozen, 10, 20}, {up, 20, 100}}},
		{"a step longer than since the last", []history.Event{at(10, history.EventCut, 0), at(12, history.EventRestored, 9)},
			[]want{{up, 0, 10}, {down, 10, 10}, {mounting, 10, 100}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := lanes([]history.Member{{Name: "m1"}}, c.events, 0, 100)
			if diff := cmp.Diff(c.want, got[0].spans, cmp.AllowUnexported(span{})); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := lanes(nil, []history.Event{at(1, history.EventKilled, 0)}, 0, 2); len(got) != 1 || got[0].member != "m1" {
		t.Errorf("a member that only the events know has no lane: %v", got)
	}
}

func TestSharesSumToOne(t *testing.T) {
	s := samples["hundreds"]
	s.build()
	l := lanes(s.run.Members, s.events, s.run.Start, s.final.Time)[1]
	if len(l.spans) < 1000 {
		t.Fatalf("only %d spans", len(l.spans))
	}
	for i, parts := range shares(l.spans, s.run.Start, s.final.Time, 110) {
		sum := 0.0
		for _, p := range parts {
			sum += p
		}
		if math.Abs(sum-1) > 1e-6 {
			t.Errorf("bar %d: the shares sum to %v", i, sum)
		}
	}
}

// However long a history is, its buckets are bounded and lose no operation.
func TestLoadIsDownsampled(t *testing.T) {
	l := Load{Start: 5e9}
	const n = 300_000
	put := []history.Request{{Verb: history.Put}}
	for i := range int64(n) {
		l.Add(&history.Op{Return: 5e9 + i*i*50, Outcome: history.Outcome(i % 3), Then: put})
	}
	l.Add(&history.Op{Return: 1, Outcome: history.OK, Then: put}) // before the start
	if len(l.Counts) > maxBuckets || len(l.Counts) < maxBuckets/2 {
		t.Errorf("%d buckets, want at most %d and more than half", len(l.Counts), maxBuckets)
	}
	var sum Counts
	for _, c := range l.Counts {
		sum = Counts{sum.OK + c.OK, sum.Unknown + c.Unknown, sum.Failed + c.Failed}
	}
	if want := (Counts{n/3 + 1, n / 3, n / 3}); sum != want {
		t.Errorf("the buckets hold %v, want %v", sum, want)
	}
	if l.Operations != n+1 || l.Writes != n/3+1 || l.Unknown != n/3 || l.Failed != n/3 || l.Reads != 0 {
		t.Errorf("counts: %+v", l)
	}
	page := render(t, Data{Verdict: &verify.Verdict{Verdict: verify.Pass}, Load: l})
	if most := 150 << 10; len(page) > most {
		t.Errorf("%d bytes for a page of nothing but load, want at most %d", len(page), most)
	}
}

func TestOwnsRevision(t *testing.T) {
	put, get, del := history.Request{Verb: history.Put}, history.Request{Verb: history.Range}, history.Request{Verb: history.Delete}
	for _, c := range []struct {
		name string
		op   history.Op
		want bool
	}{
		{"put", history.Op{Then: []history.Request{put}}, true},
		{"range", history.Op{Then: []history.Request{get}}, false},
		{"delete", history.Op{Then: []history.Request{del}, Results: []history.Result{{Deleted: 1}}}, true},
		{"delete of nothing", history.Op{Then: []history.Request{del}, Results: []history.Result{{}}}, false},
		{"txn taken", history.Op{Kind: history.KindTxn, Succeeded: true, Then: []history.Request{get, put}, Else: []history.Request{get}}, true},
		{"txn not taken", history.Op{Kind: history.KindTxn, Then: []history.Request{put}, Else: []history.Request{get}}, false},
	} {
		if got := ownsRevision(&c.op); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

func TestRoundsAndGroups(t *testing.T) {
	s := samples["fail"]
	s.build()
	all := rounds(s.events)
	if len(all) != 3 || len(all[0].Cuts) != 3 || all[2].recovery() != "never: m3" || !all[2].odd() || all[1].odd() {
		t.Fatalf("rounds: %+v", all)
	}
	g := groups(all, &s.run)
	if len(g) != 3 || g[2].NotRecovered != 1 || g[0].Target != "all members" {
		t.Errorf("groups: %+v", g)
	}
	mixed := rounds([]history.Event{
		{Kind: history.EventCut, Round: 1, Member: "m1", Cut: &history.Cut{Policy: "drop", Kept: 2}},
		{Kind: history.EventCut, Round: 1, Member: "m2", Cut: &history.Cut{Policy: "torn", Kept: 3}},
		{Kind: history.EventNotServing, Round: 1, Member: "m1"},
		{Kind: history.EventServing, Round: 1, Member: "m1"},
		{Kind: history.EventRoundEnd, Round: 1, Figures: &history.Figures{Observed: true, RecoveryNS: 2e9}},
		{Kind: history.EventRoundStart, Round: 2},
	})
	if r := mixed[0]; r.policies() != "drop, torn" || r.kept() != 5 || r.recovery() != "2.00 s" {
		t.Errorf("a mixed round: %+v", r)
	}
	if g := groups(mixed, &s.run); len(g) != 1 || g[0].Policy != "mixed" {
		t.Errorf("an unfinished round is summed, or the policies are not: %+v", g)
	}
	if row := newRoundRow(mixed[1]); row.Seen != "not finished" || row.Class != "bad" {
		t.Errorf("an unfinished round: %+v", row)
	}
}

func TestNotable(t *testing.T) {
	var all []*round
	for n := 1; n <= 30; n++ {
		r := &round{N: n, Ended: true}
		r.Figures.Observed = n != 28
		all = append(all, r)
	}
	var got []int
	for _, r := range notable(all, 4) {
		got = append(got, r.N)
	}
	if diff := cmp.Diff([]int{1, 2, 3, 28}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAxis(t *testing.T) {
	for _, c := range []struct {
		seconds     float64
		first, last string
		most        int
	}{
		{0.9, "0 s", "0.9 s", 12}, {12.3, "0 s", "12 s", 12}, {59, "0 s", "50 s", 12}, {594, "0 s", "9:00 min", 12},
		{7000, "0 s", "1:45 h", 12}, {90_000, "0 h", "24 h", 14}, {1e7, "0 h", "2400 h", 14},
	} {
		a := axis{1e12, 1e12 + int64(c.seconds*1e9)}
		ticks := a.ticks()
		if len(ticks) > c.most || len(ticks) < 2 {
			t.Errorf("%v s: %d ticks", c.seconds, len(ticks))
		}
		if ticks[0].Label != c.first || ticks[len(ticks)-1].Label != c.last {
			t.Errorf("%v s: from %q to %q", c.seconds, ticks[0].Label, ticks[len(ticks)-1].Label)
		}
		if x := a.x(a.from - 5e9); x != plotLeft {
			t.Errorf("an instant before the start is drawn at %v", x)
		}
	}
}
