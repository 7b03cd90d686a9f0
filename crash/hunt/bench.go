package hunt

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Bench makes labs, plays on them and judges: what the commands do.
type Bench interface {
	Up(ctx context.Context, s *spec.Lab) error
	Down(ctx context.Context, name string) error
	Play(ctx context.Context, name string, o crash.Options) (*crash.Result, error)
	Judge(ctx context.Context, dir string) (*verify.Verdict, error)
}

// Outcome is one run, judged.
type Outcome struct {
	Seed     uint64
	Dir      string // of the run
	Verdict  *verify.Verdict
	Shapes   []Shape
	Features []string
	Took     time.Duration
}

// discard removes the run directory.
func (o *Outcome) discard() { _ = os.RemoveAll(o.Dir) }

// stand has at most one lab at a time and plays on it.
type stand struct {
	bench Bench
	name  string // of its labs
	dir   string // of its runs
	tool  string
	lab   string // what the lab is that is up, as YAML; "" is none

	leg, played int // the leg that it is in, and how many of its rounds it has played
}

// runWithin is many times what a run takes. One that takes longer is given up: the
// budget is for many.
const runWithin = time.Minute

// play runs the scenario, on the lab that is up if it is the same and fresh is not
// asked for.
func (s *stand) play(ctx context.Context, sc *spec.Scenario, seed uint64, fresh bool) (*Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, runWithin)
	defer cancel()
	begun := time.Now()
	run, err := crash.FromFile(sc)
	if err != nil {
		return nil, err
	}
	o := run.Options
	o.Seed, o.Dir, o.Tool = seed, s.dir, s.tool
	o.Command = fmt.Sprintf("etcdlab run scenario.yaml --seed %d", seed)
	if err := s.up(ctx, sc, o.EtcdArgs(), fresh); err != nil {
		return nil, err
	}
	r, err := s.bench.Play(ctx, s.name, o)
	if err != nil {
		s.lab = "" // who knows how it was left
		if r != nil {
			_ = os.RemoveAll(r.Dir)
		}
		return nil, err
	}
	out := &Outcome{Seed: seed, Dir: r.Dir}
	if out.Verdict, err = s.bench.Judge(ctx, r.Dir); err != nil {
		s.lab = ""
		out.discard()
		return nil, err
	}
	out.Shapes = ShapesOf(out.Verdict)
	out.Features = FeaturesOf(r.Dir, out.Verdict)
	if !whole(r.Dir, out.Verdict) {
		s.lab = ""
	}
	out.Took = time.Since(begun)
	return out, nil
}

// whole says whether another run can follow on the same lab.
func whole(dir string, v *verify.Verdict) bool {
	final, err := history.ReadFinal(dir)
	if err != nil || v.Verdict == verify.Fail || v.Verdict == verify.Error {
		return false
	}
	for _, m := range final.Members {
		if !m.Serving || len(m.Alarms) > 0 {
			return false
		}
	}
	return true
}

// up makes the scenario's lab, with the flags that its load does well with.
func (s *stand) up(ctx context.Context, sc *spec.Scenario, args map[string]string, fresh bool) error {
	l := sc.Clone().Lab
	l.Name = s.name
	for name, value := range args {
		if _, said := l.Etcd.Args[name]; !said {
			l.Etcd.Args = maps.Clone(l.Etcd.Args)
			if l.Etcd.Args == nil {
				l.Etcd.Args = map[string]string{}
			}
			l.Etcd.Args[name] = value
		}
	}
	l.Default()
	if err := l.Validate(); err != nil {
		return err
	}
	want, err := l.Marshal()
	if err != nil {
		return err
	}
	if s.lab == string(want) && !fresh {
		return nil
	}
	if err := s.down(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if err := s.bench.Up(ctx, &l); err != nil {
		return fmt.Errorf("make a lab: %w", err)
	}
	s.lab = string(want)
	return nil
}

// down takes the lab down, also where the hunt is over.
func (s *stand) down(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	s.lab = ""
	return s.bench.Down(ctx, s.name)
}

// keep moves a run directory to where it stays.
func (o *Outcome) keep(to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.Rename(o.Dir, to); err != nil {
		return fmt.Errorf("keep the evidence of a finding: %w", err)
	}
	o.Dir = to
	return nil
}
