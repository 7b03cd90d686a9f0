package series

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// fake is a lab, runs and a judge of files alone.
type fake struct {
	t *testing.T
	// verdicts are of legs by their seed; what is not there passes.
	verdicts map[uint64]verify.Result
	// broken are legs that leave a member that does not serve.
	broken map[uint64]bool
	runErr error // of every run
	upErr  error // of making the lab ready, once
	bytes  int   // of a leg's evidence
	hold   chan struct{}

	mu           sync.Mutex
	up           bool
	ups, downs   int
	seeds        []uint64 // of the legs played
	judged       []string
	unjudged     int
	mostUnjudged int
}

func (f *fake) parts() Parts {
	return Parts{
		Progress: f.t.Logf,
		Up: func(context.Context) (bool, error) {
			if err := f.upErr; err != nil {
				f.upErr = nil
				return false, err
			}
			made := !f.up
			f.up = true
			f.ups++
			return made, nil
		},
		Down: func(context.Context) error { f.up = false; f.downs++; return nil },
		Run:  f.run, Judge: f.judge,
	}
}

func (f *fake) run(ctx context.Context, o crash.Options) (*crash.Result, error) {
	if f.runErr != nil {
		return nil, f.runErr
	}
	f.mu.Lock()
	f.seeds = append(f.seeds, o.Seed)
	f.unjudged++
	f.mostUnjudged = max(f.mostUnjudged, f.unjudged)
	f.mu.Unlock()
	dir := f.write(o.Dir, o.Seed, o.Duration)
	if f.broken[o.Seed] {
		f.append(dir, history.Event{Time: 1, Kind: history.EventNotServing, Member: "m1"})
	}
	return &crash.Result{Dir: dir, LoadStart: 1, LoadEnd: 2}, ctx.Err()
}

// write makes a run directory below dir, of a leg that lasted so long with two
// faults in it.
func (f *fake) write(dir string, seed uint64, lasted time.Duration) string {
	f.t.Helper()
	run := filepath.Join(dir, fmt.Sprintf("run-%d", seed))
	if err := os.MkdirAll(filepath.Join(run, "members"), 0o755); err != nil {
		f.t.Fatal(err)
	}
	err := errors.Join(
		history.WriteRun(run, &history.Run{ID: "1", Etcd: "v3.7.3", Provider: "process", Seed: seed}),
		os.WriteFile(filepath.Join(run, "members", "data"), make([]byte, f.bytes), 0o644),
	)
	if err != nil {
		f.t.Fatal(err)
	}
	f.append(run,
		history.Event{Time: 0, Kind: history.EventRunStart},
		history.Event{Time: 1, Kind: history.EventRoundEnd, Figures: &history.Figures{Faults: []history.Injection{
			{Fault: "kill", Targets: []string{"m1"}, Observed: true, Recovered: true},
			{Fault: "kill", Targets: []string{"m1"}, Observed: true},
			{Fault: "power-loss", Targets: []string{"m1"}, Observed: true, Recovered: true},
			{Fault: "power-loss", Targets: []string{"m2"}, Skipped: "not here"},
		}}},
		history.Event{Time: int64(lasted), Kind: history.EventRunEnd})
	return run
}

func (f *fake) append(run string, events ...history.Event) {
	f.t.Helper()
	w, err := os.OpenFile(filepath.Join(run, history.FileEvents), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		f.t.Fatal(err)
	}
	defer w.Close()
	for _, e := range events {
		if err := history.AppendEvent(w, &e); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *fake) judge(ctx context.Context, dir string) (*verify.Verdict, error) {
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	run, err := history.ReadRun(dir)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unjudged--
	f.judged = append(f.judged, dir)
	v := &verify.Verdict{Verdict: verify.Pass, Seed: run.Seed, Operations: 10, Faults: 3, Checks: []verify.Check{{Name: "order", Verdict: verify.Pass}}}
	if r, ok := f.verdicts[run.Seed]; ok {
		if r == verify.Error {
			return nil, errors.New("the judge died")
		}
		v.Verdict, v.Reason, v.Checks[0].Verdict = r, "order: said so", r
	}
	return v, verify.Write(dir, v)
}

// plan is of so many legs of a second.
func plan(t *testing.T, legs int) *Plan {
	t.Helper()
	l, err := spec.Decode("lab.yaml", []byte("apiVersion: etcdlab.dev/v1alpha1\nkind: Lab\nname: x\nmembers: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := l.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return &Plan{
		Spec: string(text), Leg: time.Second, KeepClean: 1 << 30, KeepOthers: 1 << 30,
		Options: crash.Options{
			Scenario: "kill", Schedule: []spec.Step{{Fault: "kill", Target: "m1"}}, Seed: 7, Rounds: 1,
			Duration: time.Duration(legs) * time.Second, Command: "etcdlab run kill",
		},
	}
}

func create(t *testing.T, p *Plan) *Series {
	t.Helper()
	s, err := Create(t.Context(), t.TempDir(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func sum(t *testing.T, dir string) *Total {
	t.Helper()
	total, err := Sum(dir)
	if err != nil {
		t.Fatal(err)
	}
	return total
}
