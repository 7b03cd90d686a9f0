package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/series"
	"github.com/etcdlab/etcdlab/crash/verify"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

func newRun() *cobra.Command {
	var (
		labs labFlags
		runs crashFlags
		keep bool
		name string
		sets []string
		long seriesFlags
	)
	cmd := &cobra.Command{
		Use:   "run SCENARIO|FILE",
		Short: "Make a lab, crash it, judge the run and take the lab down",
		Args:  long.args,
	}
	labs.add(cmd)
	runs.add(cmd)
	long.add(cmd)
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the lab up")
	cmd.Flags().StringVar(&name, "name", "", "name of the lab (default: made up)")
	cmd.Flags().StringArrayVar(&sets, "set", nil, "change a field of the scenario, such as run.rounds=5 or run.schedule[0].with.cut=torn; may be repeated")
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if long.resume != "" {
			return goOn(cmd.Context(), long.resume, o)
		}
		sc, err := findScenario(args[0], sets...)
		if err != nil {
			return withCode(codeUsage, err)
		}
		opts := sc.Options
		opts.Progress = o.progress
		if err := runs.over(cmd, &opts); err != nil {
			return withCode(codeUsage, err)
		}
		s, err := scenarioLab(sc, &labs, name, opts.EtcdArgs())
		if err != nil {
			return err
		}
		var members []string
		for _, m := range s.Members {
			members = append(members, m.Name)
		}
		for _, name := range opts.Checks {
			if !slices.Contains(verify.CheckNames(), name) {
				return withCode(codeUsage, fmt.Errorf("unknown check %q%s", name, spec.DidYouMean(name, verify.CheckNames())))
			}
		}
		if err := opts.CheckSchedule(members); err != nil {
			return withCode(codeUsage, err)
		}
		if err := opts.CheckDisk(s.Disk.Kind); err != nil {
			return err
		}
		plan, err := long.plan(opts, keep)
		if err != nil {
			return err
		}
		return run(cmd.Context(), s, opts, plan, keep, o)
	}
	return cmd
}

// findScenario is a built-in one, or that of a file: what looks like a path.
func findScenario(s string, sets ...string) (crash.Scenario, error) {
	if ext := filepath.Ext(s); ext != ".yaml" && ext != ".yml" && s != "-" {
		return crash.FindScenario(s, sets...)
	}
	file, err := spec.LoadScenario(s, sets...)
	if err != nil {
		return crash.Scenario{}, err
	}
	return crash.FromFile(file)
}

// scenarioLab is the lab that a scenario asks for, with the flags over it, and
// args of etcd where neither says anything of them.
func scenarioLab(sc crash.Scenario, flags *labFlags, name string, args map[string]string) (*spec.Lab, error) {
	if flags.file != "" && sc.File == nil {
		return nil, withCode(codeUsage, errors.New("a scenario file has its lab in it; use it without --file"))
	}
	lab := *sc.Lab
	lab.Etcd.Args = maps.Clone(lab.Etcd.Args)
	base := &lab
	if name == "" && base.Name != "" {
		name = base.Name
	}
	if name == "" {
		var b [3]byte
		_, _ = rand.Read(b[:])
		short := strings.NewReplacer("/", "-").Replace(sc.Name)
		name = fmt.Sprintf("%s-%s", strings.TrimRight(short[:min(len(short), 20)], "-"), hex.EncodeToString(b[:]))
	}
	s, err := flags.spec(name, base)
	if err != nil {
		return nil, err
	}
	for arg, value := range args {
		if _, said := s.Etcd.Args[arg]; !said {
			if s.Etcd.Args == nil {
				s.Etcd.Args = map[string]string{}
			}
			s.Etcd.Args[arg] = value
		}
	}
	return s, nil
}

// run plays a run on a lab of its own; with a plan, as a series.
func run(ctx context.Context, s *spec.Lab, opts crash.Options, plan *series.Plan, keep bool, o *output) error {
	p, err := provider(ctx, s, o)
	if err != nil {
		return err
	}
	if err := vacant(ctx, p, s, opts); err != nil {
		return err
	}
	if plan != nil {
		return begin(ctx, plan, s, o)
	}
	r, j, err := runJudged(ctx, p, s, opts, keep, o)
	if j == nil {
		return err
	}
	return tell(o, viewOf(r).judged(j), j, err)
}

// vacant says why a run cannot have a lab of its own so.
func vacant(ctx context.Context, p lab.Provider, s *spec.Lab, opts crash.Options) error {
	if err := opts.CheckProvider(p.Name()); err != nil {
		return err
	}
	if _, err := p.Open(ctx, s.Name); !errors.Is(err, lab.ErrNotFound) {
		// It would be taken down at the end, and is not ours.
		return withCode(codeUsage, fmt.Errorf("there is a lab %s already; run makes one of its own: choose another --name, or break that one with `etcdlab crash %s`", s.Name, s.Name))
	}
	return nil
}

// runJudged makes a lab, crashes it, takes it down and judges the run. A verdict
// beside an error is one that could not be stored.
func runJudged(ctx context.Context, p lab.Provider, s *spec.Lab, opts crash.Options, keep bool, o *output) (*crash.Result, *verify.Verdict, error) {
	if err := crash.CheckDir(opts.Dir, opts.Duration); err != nil {
		return nil, nil, err
	}
	o.progress("scenario %s, seed %d", opts.Scenario, opts.Seed)
	if _, err := up(ctx, s, o); err != nil {
		return nil, nil, err
	}
	down := func() error {
		if keep {
			o.progress("lab %s is left up; `etcdlab down %s` removes it", s.Name, s.Name)
			return nil
		}
		return takeDown(ctx, p, s.Name)
	}
	r, err := runLocked(ctx, s.Name, opts)
	if err = errors.Join(err, down()); err != nil {
		if r != nil {
			o.progress("what was recorded is in %s", r.Dir)
		}
		return r, nil, err
	}
	j, err := judge(ctx, r.Dir, o)
	return r, j, err
}
