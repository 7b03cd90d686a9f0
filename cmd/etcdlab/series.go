package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/report"
	"github.com/etcdlab/etcdlab/crash/series"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// seriesFlags make a long run a series of legs.
type seriesFlags struct {
	leg           time.Duration
	clean, others string
	resume        string
}

func (f *seriesFlags) add(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.leg, "leg", -1, "play the run in legs of so long on one lab, each judged while the next plays; 0 is all in one (default 2m for a duration above 10m)")
	cmd.Flags().Lookup("leg").DefValue = ""
	cmd.Flags().StringVar(&f.clean, "keep-evidence", "2GiB", "how much evidence of legs that passed is kept, the newest; their verdicts always are")
	cmd.Flags().StringVar(&f.others, "keep-findings", "16GiB", "how much evidence of legs that did not pass is kept, violations before doubts; their verdicts always are")
	cmd.Flags().StringVar(&f.resume, "resume", "", "go on with the series in this directory, as it was begun")
}

// args are none where a series says what to run.
func (f *seriesFlags) args(cmd *cobra.Command, args []string) error {
	if f.resume == "" {
		return cobra.ExactArgs(1)(cmd, args)
	}
	if len(args) > 0 {
		return errors.New("--resume goes on with what its series began; name no scenario")
	}
	return nil
}

// plan is the series that a run is; nil is that it is none.
func (f *seriesFlags) plan(opts crash.Options, keep bool) (*series.Plan, error) {
	leg, err := series.LegFor(opts.Duration, f.leg)
	if err != nil {
		return nil, withCode(codeUsage, fmt.Errorf("--leg: %w", err))
	}
	clean, err := spec.ParseSize(f.clean)
	if err != nil {
		return nil, withCode(codeUsage, fmt.Errorf("--keep-evidence: %w", err))
	}
	others, err := spec.ParseSize(f.others)
	if err != nil {
		return nil, withCode(codeUsage, fmt.Errorf("--keep-findings: %w", err))
	}
	if leg == 0 {
		return nil, nil
	}
	return &series.Plan{Options: opts, Leg: leg, KeepClean: int64(clean), KeepOthers: int64(others), KeepLab: keep}, nil
}

// begin plays a series from its start. Its lab is s, which is not there yet.
func begin(ctx context.Context, p *series.Plan, s *spec.Lab, o *output) error {
	if err := crash.CheckDir(p.Options.Dir, p.Leg); err != nil {
		return err
	}
	lab, err := s.Marshal()
	if err != nil {
		return err
	}
	p.Spec = string(lab)
	ser, err := series.Create(ctx, p.Options.Dir, p)
	if err != nil {
		return err
	}
	o.progress("series %s: scenario %s, seed %d, legs of %v", ser.Dir, p.Options.Scenario, p.Options.Seed, p.Leg)
	return play(ctx, ser, o)
}

// goOn goes on with a series that did not end.
func goOn(ctx context.Context, dir string, o *output) error {
	if !series.Is(dir) {
		return withCode(codeUsage, fmt.Errorf("--resume %s: it is no series: it has no %s", dir, series.FilePlan))
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	ser, err := series.Open(ctx, dir)
	if err != nil {
		return err
	}
	return play(ctx, ser, o)
}

// play plays what is left of a series, takes its lab down and tells what it has
// come to.
func play(ctx context.Context, ser *series.Series, o *output) error {
	defer ser.Close()
	s, err := ser.Plan.Lab()
	if err != nil {
		return err
	}
	p, err := provider(ctx, s, o)
	if err != nil {
		return err
	}
	if err := ser.Plan.Options.CheckProvider(p.Name()); err != nil {
		return err
	}
	// Since it was begun another lab may have been given its name.
	if l, err := p.Open(ctx, s.Name); err == nil && l.Spec != nil {
		if d := lab.Difference(l.Spec, nil, s, nil); d != "" {
			return fmt.Errorf("series %s: %w", ser.Dir, &lab.SpecChangedError{Lab: s.Name, Diff: d})
		}
	}
	err = ser.Play(ctx, partsOf(p, s, o))
	if ser.Plan.KeepLab {
		o.progress("lab %s is left up; `etcdlab down %s` removes it", s.Name, s.Name)
	} else {
		err = errors.Join(err, takeDown(ctx, p, s.Name))
	}
	if err != nil {
		o.progress("what was found is in %s; `etcdlab run --resume %s` goes on", ser.Dir, ser.Dir)
		return err
	}
	return tellSeries(ser.Dir, o)
}

// takeDown takes a lab down, also after an interrupt.
func takeDown(ctx context.Context, p lab.Provider, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := p.Down(ctx, name); err != nil {
		return fmt.Errorf("take lab %s down: %w; `etcdlab down %s` tries again", name, err, name)
	}
	return nil
}

// partsOf are what a series on that lab is made of.
func partsOf(p lab.Provider, s *spec.Lab, o *output) series.Parts {
	return series.Parts{
		Progress: o.progress,
		Judge:    judgeApart,
		Down:     func(ctx context.Context) error { return takeDown(ctx, p, s.Name) },
		Run: func(ctx context.Context, opts crash.Options) (*crash.Result, error) {
			return runLocked(ctx, s.Name, opts)
		},
		Up: func(ctx context.Context) (bool, error) {
			_, err := p.Open(ctx, s.Name)
			made := errors.Is(err, lab.ErrNotFound)
			_, err = up(ctx, s, o)
			return made, err
		},
		Tidy: func(ctx context.Context) error {
			unlock, err := exclusive(ctx, s.Name, o.progress)
			if err != nil {
				return err
			}
			defer unlock()
			l, err := open(ctx, s.Name)
			if err != nil {
				return err
			}
			return crash.Tidy(ctx, l)
		},
	}
}

// seriesView is the JSON form of a series.
type seriesView struct {
	*series.Total
	RunDir string `json:"runDir"`
	Report string `json:"report"`
}

// tellSeries stores and prints what a series has come to, and gives its exit
// code.
func tellSeries(dir string, o *output) error {
	t, err := series.Sum(dir)
	if err != nil {
		return err
	}
	stored := errors.Join(t.Write(dir), report.WriteSeries(dir, t))
	if o.json() {
		err = o.object(seriesView{t, dir, filepath.Join(dir, series.FileReport)})
	} else {
		err = report.SeriesText(o.out, t, dir, o.colour())
	}
	return errors.Join(verdictError(t.Verdict), stored, err)
}
