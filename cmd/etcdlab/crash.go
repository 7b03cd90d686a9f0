package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/lab/spec"
)

func newCrash() *cobra.Command {
	var (
		flags  crashFlags
		name   string
		verify bool
		one    stepFlags
	)
	cmd := &cobra.Command{
		Use:   "crash NAME --fault FAULT",
		Short: "Put a lab under load, break it, let it recover, and record all of it",
		Args:  cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&name, "fault", "", "what to do: a fault (`etcdlab faults` lists them and their parameters) or what a built-in scenario does, such as failpoint-sweep")
	cmd.Flags().BoolVar(&verify, "verify", false, "judge the run at once")
	flags.add(cmd)
	one.add(cmd)
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if name == "" {
			return withCode(codeUsage, fmt.Errorf("say which fault with --fault: %s", strings.Join(fault.Names(), ", ")))
		}
		opts, err := one.options(name)
		if err != nil {
			return withCode(codeUsage, err)
		}
		opts.Progress = o.progress
		if err := flags.over(cmd, &opts); err != nil {
			return withCode(codeUsage, err)
		}
		l, err := open(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if err := opts.CheckSchedule(l.Names()); err != nil {
			return withCode(codeUsage, err)
		}
		leaves(l.Name)
		r, err := runLocked(cmd.Context(), l.Name, opts)
		if r == nil {
			return err
		}
		v := viewOf(r)
		err = errors.Join(err, cmd.Context().Err()) // also where all was done
		if err != nil || !verify {
			return errors.Join(err, showRun(o, v))
		}
		j, err := judge(cmd.Context(), r.Dir, o)
		if j == nil {
			return err
		}
		return tell(o, v.judged(j), j, err)
	}
	return cmd
}

// showRun says where the evidence is; the verdict is for `verify`.
func showRun(o *output, v runView) error {
	if o.json() {
		return o.object(v)
	}
	fmt.Fprintf(o.out, "%d operations, %d faults, seed %d\nevidence in %s\njudge it with: etcdlab verify %s\n", v.Operations, v.Faults, v.Seed, v.RunDir, v.RunDir)
	return nil
}

// stepFlags are a schedule of one step.
type stepFlags struct {
	with     []string
	duration time.Duration
	until    string
}

func (s *stepFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&s.with, "with", nil, "a parameter of the fault as name=value; may be repeated")
	f.DurationVar(&s.duration, "for", 0, "how long the fault lasts once it was seen to take effect")
	f.StringVar(&s.until, "until", "", "what ends the fault: snapshot, when the others have compacted past the targets")
}

// options are a run of one fault, or what a built-in scenario does.
func (s *stepFlags) options(name string) (crash.Options, error) {
	_, none := fault.Find(name)
	scenario, unknown := crash.FindScenario(name)
	if none == nil || unknown != nil {
		step, err := s.step(name)
		return crash.Options{Schedule: []spec.Step{step}}, err
	}
	if s.with != nil || s.duration != 0 || s.until != "" {
		return crash.Options{}, fmt.Errorf("--with, --for and --until are for one fault, and %s is a scenario; `etcdlab scenarios %s` shows what it does", name, name)
	}
	return scenario.Options, nil
}

func (s *stepFlags) step(name string) (spec.Step, error) {
	step := spec.Step{Fault: name, For: s.duration, Until: s.until}
	if _, err := fault.Find(name); err != nil {
		return step, err
	}
	if s.duration < 0 {
		return step, fmt.Errorf("--for %v: must not be less than 0", s.duration)
	}
	for _, w := range s.with {
		param, value, ok := strings.Cut(w, "=")
		if !ok || param == "" {
			return step, fmt.Errorf("--with %q: want name=value", w)
		}
		if step.With == nil {
			step.With = map[string]string{}
		}
		step.With[param] = value
	}
	return step, nil
}
