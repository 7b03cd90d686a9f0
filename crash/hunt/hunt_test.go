package hunt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// fake is a bench whose etcd has one bug, in releases before good: it loses a
// write in runs that have all of the core's ingredients.
type fake struct {
	core []string
	good string

	mu    sync.Mutex
	labs  map[string]*spec.Lab
	runs  int
	plays map[string]*spec.Scenario // by directory
	err   error
}

func (b *fake) Up(_ context.Context, s *spec.Lab) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.labs[s.Name] != nil {
		return fmt.Errorf("lab %s is up already", s.Name)
	}
	b.labs[s.Name] = s
	return nil
}

func (b *fake) Down(_ context.Context, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.labs, name)
	return nil
}

func (b *fake) Play(_ context.Context, name string, o crash.Options) (*crash.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil, b.err
	}
	l := b.labs[name]
	if l == nil {
		return nil, fmt.Errorf("lab %s is not up", name)
	}
	b.runs++
	dir := filepath.Join(o.Dir, fmt.Sprintf("run-%d", b.runs))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	t := spec.Traffic{Weights: o.Traffic.Mix}
	if o.Traffic.Watchers > 0 {
		t.Watchers = &o.Traffic.Watchers
	}
	b.plays[dir] = &spec.Scenario{Lab: *l, Run: spec.Run{Schedule: o.Schedule, Traffic: t}}
	return &crash.Result{Dir: dir}, history.WriteFinal(dir, &history.Final{Members: []history.FinalMember{{Name: "m1", Serving: true}}})
}

func (b *fake) Judge(_ context.Context, dir string) (*verify.Verdict, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.plays[dir]
	v := &verify.Verdict{Verdict: verify.Pass}
	if yes, _ := needs(b.core...)(context.Background(), s); yes && s.Lab.Etcd.Version < b.good {
		v.Verdict, v.Reason = verify.Fail, "durability: lost"
		v.Checks = []verify.Check{{Name: "durability", Verdict: verify.Fail, Evidence: []verify.Evidence{{Message: fmt.Sprintf("revision %d is lost", b.runs)}}}}
	}
	return v, nil
}

func newFake(good string, core ...string) *fake {
	return &fake{core: core, good: good, labs: map[string]*spec.Lab{}, plays: map[string]*spec.Scenario{}}
}

func options(t *testing.T, b *fake) Options {
	return Options{
		Space: *everything(), Seed: 3, Budget: 20 * time.Second, Jobs: 2, Dir: t.TempDir(), Lab: "hunt-test", Bench: b, Stop: 1,
		Known:    func(string, map[string]int, string, *verify.Evidence) []string { return nil },
		Later:    []string{"v3.5.18", "v3.5.19", "v3.7.3"},
		Progress: t.Logf,
	}
}

// A hunt that knows nothing finds a bug once, makes its scenario small, and says
// how often it fails and where it passes; what it stored says the same.
func TestHunt(t *testing.T) {
	b := newFake("v3.5.19", "operation put", "fault failpoint at defragBeforeCopy")
	r, err := Run(t.Context(), options(t, b))
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != verify.Fail || len(r.Findings) != 1 || r.Rounds == 0 {
		t.Fatalf("%+v", r)
	}
	f := r.Findings[0]
	if f.Signature != "durability: revision N is lost" || f.Rate != (Rate{seeds, seeds}) || !f.Shrunk {
		t.Errorf("%+v", f)
	}
	if f.Passes == nil || *f.Passes != (Later{"v3.5.19", seeds, seeds}) {
		t.Errorf("it passes on %+v", f.Passes)
	}
	if names := namesOf(f.file); len(names) != len(b.core) {
		t.Errorf("the scenario has %v:\n%s", names, text(f.file))
	}
	stored, err := Load(filepath.Dir(f.Scenario))
	if err != nil {
		t.Fatal(err)
	}
	if text(stored.file) != text(f.file) || stored.Rate != f.Rate || *stored.Passes != *f.Passes || !slices.Equal(stored.Shapes, f.Shapes) {
		t.Errorf("stored is %+v\n%s", stored, text(stored.file))
	}
	if !slices.Equal(stored.file.Run.Checks, []string{"durability"}) {
		t.Errorf("the scenario must come to a verdict about %v", stored.file.Run.Checks)
	}
	if _, err := os.Stat(f.Evidence); err != nil {
		t.Error(err)
	}
	if len(b.labs) > 0 {
		t.Errorf("labs are left: %v", b.labs)
	}
}

// What is known is found, told, made small in its share of the time, and does not
// keep the hunt from going on.
func TestHuntKnown(t *testing.T) {
	b := newFake("v3.7.0", "operation put")
	o := options(t, b)
	o.Budget = 40 * time.Second // a quarter of it explores
	o.Known = func(string, map[string]int, string, *verify.Evidence) []string { return []string{"18667"} }
	r, err := Run(t.Context(), o)
	if err != nil || len(r.Findings) != 1 || !slices.Equal(r.Findings[0].Known, []string{"18667"}) {
		t.Fatal(r.Findings, err)
	}
	if r.Rounds < 20 {
		t.Errorf("only %d rounds were played", r.Rounds)
	}
	if f := r.Findings[0]; !f.Shrunk || f.Passes == nil || f.Passes.Etcd != "v3.7.3" {
		t.Errorf("%+v", f)
	}
}

func TestHuntFindsNothing(t *testing.T) {
	b := newFake("v3.5.0", "operation put")
	o := options(t, b)
	o.Budget, o.Stop = time.Second, 0
	r, err := Run(t.Context(), o)
	if err != nil || r.Verdict != verify.Pass || len(r.Findings) != 0 || r.Judged == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// A bench that can carry nothing out must not look like an etcd without bugs.
func TestHuntOnABrokenBench(t *testing.T) {
	b := newFake("v3.7.0", "operation put")
	b.err = errors.New("no room")
	r, err := Run(t.Context(), options(t, b))
	if !errors.Is(err, b.err) || r.Verdict != verify.Inconclusive {
		t.Fatalf("%+v, %v", r, err)
	}
}

// An interrupted hunt keeps what it found, and leaves no lab.
func TestHuntInterrupted(t *testing.T) {
	b := newFake("v3.7.0", "operation put")
	o := options(t, b)
	o.Stop = 0
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(format string, _ ...any) {
		if format == "finding %s: %s again" {
			cancel()
		}
	}
	r, err := Run(ctx, o)
	if !errors.Is(err, context.Canceled) || len(r.Findings) != 1 || len(b.labs) > 0 {
		t.Fatalf("%+v, %v, %v", r, err, b.labs)
	}
	if _, err := Load(filepath.Dir(r.Findings[0].Scenario)); err != nil {
		t.Error(err)
	}
}

// Without feedback rounds are as they are drawn; with it, what found something is
// left out of most.
func TestFeedback(t *testing.T) {
	sp := everything()
	core := map[string]bool{"operation put": true, "watchers": true}
	found := []*Finding{{Hits: 2, core: core}}
	fb := feedback{seed: 1, carried: map[string]int{}, broke: map[string]int{}}
	drawn, shaped := 0, 0
	for n := range 300 {
		s := Draw(sp, 1, n)
		if contains(namesOf(s), core) {
			drawn++
		}
		c := fb.shape(n, s, found)
		if _, err := crash.FromFile(c); err != nil {
			t.Fatalf("round %d cannot be played any more: %v\n%s", n, err, text(c))
		}
		if contains(namesOf(c), core) {
			shaped++
		}
		fb.add(c)
	}
	if drawn < 30 || shaped*2 > drawn {
		t.Errorf("%d rounds had what finds it again, and %d of them have", drawn, shaped)
	}
	for range hopelessAfter {
		fb.note(decode(t, big), false)
	}
	c := fb.shape(0, decode(t, big), nil)
	if !quiet(c) || c.Run.Duration == 0 {
		t.Errorf("faults that break every run off are still in:\n%s", text(c))
	}
}

func TestCoverage(t *testing.T) {
	c := Coverage{}
	if n := c.Add(0, []string{"a", "b", "a"}); n != 2 {
		t.Error(n)
	}
	if n := c.Add(1, []string{"b", "c"}); n != 1 || c["b"] != 0 || c["c"] != 1 {
		t.Error(n, c)
	}
	log := filepath.Join(t.TempDir(), "etcd.log")
	lines := `{"level":"info","caller":"raft/raft.go:12","msg":"8e9e05c52164694d became leader at term 3"}
{"level":"info","caller":"raft/raft.go:12","msg":"1e9e05c52164694d became leader at term 4"}
panic: failpoint panic: etcdlab
not a line of anything
`
	if err := os.WriteFile(log, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	logShapes(log, func(s string) { told[s] = true })
	if len(told) != 2 || !told["info raft/raft.go:12 N became leader at term N"] {
		t.Errorf("%v", told)
	}
}
