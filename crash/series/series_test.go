package series

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
	"github.com/etcdlab/etcdlab/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPlay(t *testing.T) {
	p := plan(t, 5)
	s, f := create(t, p), &fake{t: t}
	if err := s.Play(t.Context(), f.parts()); err != nil {
		t.Fatal(err)
	}
	var want []uint64
	for n := 1; n <= 5; n++ {
		want = append(want, p.LegSeed(n))
	}
	if !slices.Equal(f.seeds, want) || len(f.judged) != 5 || f.ups != 1 || f.downs != 0 {
		t.Errorf("seeds %v want %v, judged %v, lab made ready %d times, taken down %d times", f.seeds, want, f.judged, f.ups, f.downs)
	}
	total := sum(t, s.Dir)
	if total.Verdict != verify.Pass || len(total.Legs) != 5 || total.Operations != 50 || total.Faults != 15 || total.Tally.Verified != 10 || total.Tally.Faults != 15 ||
		total.Tally.Groups[fault.GroupProcess] != 5 || total.Tally.Groups[fault.GroupPower] != 5 || total.Played != 5 || total.Tally.PerDay != 2*86400 ||
		total.Labs != 1 || total.Resumed != 0 || total.Etcd != "v3.7.3" || total.Seed != 7 {
		t.Errorf("%+v", total)
	}
	if len(total.Checks) != 1 || total.Checks[0].Verdict != verify.Pass || total.Checks[0].Detail != "pass in 5 legs" {
		t.Errorf("%+v", total.Checks)
	}
	if err := s.Play(t.Context(), f.parts()); err != nil || len(f.seeds) != 5 {
		t.Errorf("what was played is played again: %v, %v", err, f.seeds)
	}
}

// What does not pass is what the series comes to, the worst of it; the lab on which
// a leg failed is made anew.
func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name     string
		of       map[int]verify.Result
		want     verify.Result
		reason   string
		labsMost int
	}{
		{"all pass", nil, verify.Pass, "", 1},
		{"a doubt", map[int]verify.Result{2: verify.Inconclusive}, verify.Inconclusive, "1 leg of 4; leg 2: order: said so", 1},
		{"the judge dies", map[int]verify.Result{2: verify.Inconclusive, 3: verify.Error}, verify.Error, "leg 3: it could not be judged: the judge died", 1},
		{"a violation", map[int]verify.Result{1: verify.Inconclusive, 2: verify.Fail, 3: verify.Error}, verify.Fail, "leg 2: order", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := plan(t, 4)
			s, f := create(t, p), &fake{t: t, verdicts: map[uint64]verify.Result{}}
			for n, v := range c.of {
				f.verdicts[p.LegSeed(n)] = v
			}
			if err := s.Play(t.Context(), f.parts()); err != nil {
				t.Fatal(err)
			}
			total := sum(t, s.Dir)
			if total.Verdict != c.want || !strings.Contains(total.Reason, c.reason) || len(total.Legs) != 4 {
				t.Errorf("%s: %s, %d legs", total.Verdict, total.Reason, len(total.Legs))
			}
			if total.Labs > c.labsMost || f.downs != total.Labs-1 {
				t.Errorf("%d labs, %d taken down", total.Labs, f.downs)
			}
			if c.want == verify.Fail && total.Checks[0].Verdict != verify.Fail {
				t.Errorf("%+v", total.Checks)
			}
		})
	}
}

// A member that does not serve is brought back before the next leg.
func TestBroken(t *testing.T) {
	p := plan(t, 3)
	s, f := create(t, p), &fake{t: t, broken: map[uint64]bool{p.LegSeed(1): true}}
	if err := s.Play(t.Context(), f.parts()); err != nil {
		t.Fatal(err)
	}
	if f.ups != 2 || f.downs != 0 {
		t.Errorf("the lab was made ready %d times and taken down %d times", f.ups, f.downs)
	}
}

// A lab that cannot be brought back is made anew; another's is left alone.
func TestNotReady(t *testing.T) {
	for _, c := range []struct {
		err   error
		downs int
	}{{errors.New("m1 does not serve"), 1}, {&lab.SpecChangedError{Lab: "x", Diff: "- members: 3"}, 0}} {
		s, f := create(t, plan(t, 1)), &fake{t: t, upErr: c.err}
		if err := s.Play(t.Context(), f.parts()); err != nil || f.downs != c.downs {
			t.Errorf("%v: taken down %d times; %v", c.err, f.downs, err)
		}
	}
}

// The load waits where the judge does not keep up.
func TestJudgeKeepsUp(t *testing.T) {
	s, f := create(t, plan(t, 6)), &fake{t: t, hold: make(chan struct{})}
	played := make(chan error)
	go func() { played <- s.Play(t.Context(), f.parts()) }()
	for range 6 {
		f.hold <- struct{}{}
	}
	if err := <-played; err != nil {
		t.Fatal(err)
	}
	if f.mostUnjudged != 2 {
		t.Errorf("%d legs were to be judged at a time", f.mostUnjudged)
	}
}

// What cannot be played is given up, and can be gone on with.
func TestVain(t *testing.T) {
	p := plan(t, 2)
	s, f := create(t, p), &fake{t: t, runErr: errors.New("no such thing")}
	if err := s.Play(t.Context(), f.parts()); err == nil || !strings.Contains(err.Error(), "3 legs in a row") {
		t.Fatal(err)
	}
	if total := sum(t, s.Dir); total.Verdict != verify.Inconclusive || total.Reason != "no leg was played" {
		t.Errorf("%+v", total)
	}
	f.runErr = nil
	if err := s.Play(t.Context(), f.parts()); err != nil || len(f.seeds) != 2 || f.seeds[0] != p.LegSeed(1) {
		t.Errorf("%v, %v", err, f.seeds)
	}
}

// An interrupted series goes on where it was: each leg once.
func TestInterrupted(t *testing.T) {
	p := plan(t, 4)
	s, f := create(t, p), &fake{t: t, hold: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	played := make(chan error)
	go func() { played <- s.Play(ctx, f.parts()) }()
	f.hold <- struct{}{}
	cancel()
	if err := <-played; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if total := sum(t, s.Dir); total.Verdict != verify.Inconclusive {
		t.Errorf("%s: %s", total.Verdict, total.Reason)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := Open(t.Context(), s.Dir); !errors.As(err, new(*lab.UsageError)) {
		t.Errorf("two have it open: %v", err)
	}
	f.hold = nil
	if err := again.Play(t.Context(), f.parts()); err != nil {
		t.Fatal(err)
	}
	total := sum(t, s.Dir)
	if total.Verdict != verify.Pass || total.Resumed != 1 || len(f.judged) != 4 {
		t.Errorf("%s: %s; resumed %d times, judged %v", total.Verdict, total.Reason, total.Resumed, f.judged)
	}
	for n, seed := range f.seeds {
		if seed != p.LegSeed(n+1) {
			t.Errorf("leg %d has the seed %d", n+1, seed)
		}
	}
}

// What a kill -9 leaves of a leg is judged; of a leg that left nothing, nothing is.
func TestKilled(t *testing.T) {
	for _, left := range []bool{true, false} {
		p := plan(t, 3)
		s, f := create(t, p), &fake{t: t}
		if err := errors.Join(s.note(&Entry{Kind: KindLab, Made: true}), s.note(&Entry{Kind: KindBegun, Leg: 1, Seed: p.LegSeed(1)})); err != nil {
			t.Fatal(err)
		}
		if left {
			f.write(filepath.Join(s.Dir, legDir(1)), p.LegSeed(1), 600*time.Millisecond)
		} else if err := os.MkdirAll(filepath.Join(s.Dir, legDir(1), "half"), 0o755); err != nil {
			t.Fatal(err)
		}
		// The last line was not finished.
		ledger, err := os.OpenFile(filepath.Join(s.Dir, FileLedger), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ledger.WriteString(`{"kind":"played","leg":1`); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(ledger.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(t.Context(), s.Dir); err != nil {
			t.Fatal(err)
		}
		f.up = true
		if err := s.Play(t.Context(), f.parts()); err != nil {
			t.Fatal(err)
		}
		total := sum(t, s.Dir)
		want := []uint64{p.LegSeed(2), p.LegSeed(3)}
		if !left {
			want = slices.Insert(want, 0, p.LegSeed(1))
		}
		if !slices.Equal(f.seeds, want) || len(f.judged) != 3 || len(total.Legs) != 3 || total.Verdict != verify.Pass {
			t.Errorf("left %v: seeds %v want %v; judged %v; %+v", left, f.seeds, want, f.judged, total)
		}
		if left && (total.Legs[0].Seconds != 0.6 || total.Legs[0].Error == "" || total.Legs[0].Seed != p.LegSeed(1)) {
			t.Errorf("%+v", total.Legs[0])
		}
		for _, l := range total.Legs {
			if _, err := history.ReadRun(filepath.Join(s.Dir, l.RunDir)); err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The memory of a series does not grow with its legs.
func TestFlat(t *testing.T) {
	p := plan(t, 150)
	p.KeepClean, p.KeepOthers = 64<<10, 64<<10
	s, f := create(t, p), &fake{t: t, verdicts: map[uint64]verify.Result{}}
	for n := range 150 {
		if n%3 == 0 {
			f.verdicts[p.LegSeed(n)] = verify.Inconclusive
		}
	}
	parts := f.parts()
	parts.Progress = func(string, ...any) {}
	if err := s.Play(t.Context(), parts); err != nil {
		t.Fatal(err)
	}
	if n := len(s.state.evidence); n > 10 || len(s.state.pending) != 0 {
		t.Errorf("%d legs are remembered", n)
	}
	if n := runtime.NumGoroutine(); n > 20 {
		t.Errorf("%d goroutines", n)
	}
}

func TestJudgeAgain(t *testing.T) {
	p := plan(t, 4)
	p.KeepClean = 20 << 10
	s, f := create(t, p), &fake{t: t, bytes: 8 << 10}
	if err := s.Play(t.Context(), f.parts()); err != nil {
		t.Fatal(err)
	}
	before := len(f.judged)
	var whole int
	for _, l := range sum(t, s.Dir).Legs {
		if l.Kept {
			whole++
		}
	}
	f.verdicts = map[uint64]verify.Result{p.LegSeed(4): verify.Fail}
	if err := s.JudgeAgain(t.Context(), f.parts()); err != nil {
		t.Fatal(err)
	}
	total := sum(t, s.Dir)
	if len(f.judged)-before != whole || whole == 4 || whole == 0 || total.Verdict != verify.Fail || total.Operations != 40 || total.Checks[0].Detail != "pass in 3 legs, fail in 1 leg, the first leg 4" {
		t.Errorf("judged again %d of %d; %+v", len(f.judged)-before, whole, total)
	}
}
