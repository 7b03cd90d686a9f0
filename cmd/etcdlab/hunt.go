package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/bugs"
	"github.com/etcdlab/etcdlab/crash/hunt"
	"github.com/etcdlab/etcdlab/images"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// huntFlags are those of hunt.
type huntFlags struct {
	etcd, dir, provider string
	budget              time.Duration
	seed                uint64
	jobs, stop          int
	members             []int
	faults              []string
	noFeedback          bool
}

func newHunt() *cobra.Command {
	var f huntFlags
	cmd := &cobra.Command{
		Use:   "hunt",
		Short: "Look for violations that nobody has told of: labs, loads and faults at random, each finding made small",
		Args:  cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.etcd, "etcd", images.DefaultVersion, "etcd version")
	flags.DurationVar(&f.budget, "budget", 10*time.Minute, "how long the hunt may take in all")
	flags.Uint64Var(&f.seed, "seed", 0, "seed of everything that is drawn (default: drawn, and printed)")
	flags.IntVar(&f.jobs, "jobs", runtime.NumCPU(), "labs at a time")
	flags.IntVar(&f.stop, "stop-after", 0, "end once so many findings are shrunk (default: use the whole budget)")
	flags.StringVar(&f.dir, "dir", "findings", "directory for findings")
	flags.StringVar(&f.provider, "provider", "", "process, docker or vm (default: process for root on Linux, else docker)")
	flags.IntSliceVar(&f.members, "members", []int{1, 1, 3}, "numbers of members to draw from")
	flags.StringSliceVar(&f.faults, "fault", nil, "faults to draw from (default: all that the lab can do)")
	flags.BoolVar(&f.noFeedback, "no-feedback", false, "play the rounds as they are drawn, whatever they lead to")
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.seed == 0 && !flags.Changed("seed") {
			f.seed = crash.RandomSeed()
		}
		return f.hunt(cmd.Context(), o)
	}
	return cmd
}

func (f *huntFlags) hunt(ctx context.Context, o *output) error {
	etcd := spec.Etcd{}
	etcd.Use(f.etcd)
	version, err := images.NormalizeVersion(etcd.Version)
	switch {
	case etcd.Source != "":
		return withCode(codeUsage, errors.New("hunt is for releases: --etcd must be a version"))
	case err != nil:
		return err
	case f.budget < time.Second || f.jobs < 1 || f.stop < 0:
		return withCode(codeUsage, errors.New("--budget must be at least 1s, --jobs 1 and --stop-after 0"))
	case slices.ContainsFunc(f.members, func(n int) bool { return n < 1 || n > spec.MaxMembers }) || len(f.members) == 0:
		return withCode(codeUsage, fmt.Errorf("--members must be numbers of 1 to %d", spec.MaxMembers))
	}
	dir, err := filepath.Abs(f.dir)
	if err == nil {
		err = crash.CheckDir(dir, 0)
	}
	if err != nil {
		return err
	}
	p, err := provider(ctx, &spec.Lab{Provider: f.provider}, o)
	if err != nil {
		return err
	}
	var b [3]byte
	_, _ = rand.Read(b[:])
	name := "hunt-" + hex.EncodeToString(b[:])
	if p, err = provider(ctx, &spec.Lab{Provider: p.Name()}, silent()); err != nil {
		return err
	}
	bench := &huntBench{provider: p}
	space, err := f.space(ctx, version, name+"-0", bench, o)
	if err != nil {
		return err
	}
	later, err := laterReleases(version)
	if err != nil {
		return err
	}
	o.progress("hunting in etcd %s for %v with seed %d: %d faults, %d failpoints; findings go to %s", version, f.budget, f.seed, len(space.Faults), len(space.Points), dir)
	r, err := hunt.Run(ctx, hunt.Options{
		Space: *space, Seed: f.seed, Budget: f.budget, Jobs: f.jobs, NoFeedback: f.noFeedback, Stop: f.stop,
		Dir: dir, Lab: name, Tool: toolVersion(), Bench: bench, Known: bugs.Known, Later: later, Progress: o.progress,
	})
	if r != nil {
		err = errors.Join(err, showHunt(o, r))
	}
	if err != nil {
		return err
	}
	return verdictError(r.Verdict)
}

// space finds out what there is to draw from: it asks a lab of one member what
// faults it can do.
func (f *huntFlags) space(ctx context.Context, version, name string, bench *huntBench, o *output) (*hunt.Space, error) {
	s := &spec.Lab{Name: name, Provider: bench.provider.Name(), Members: spec.Count(1), Etcd: spec.Etcd{Version: version}}
	s.Default()
	l, err := up(ctx, s, o)
	if err != nil {
		return nil, err
	}
	space := &hunt.Space{Version: version, Members: f.members, Faults: able(l.Members[0])}
	points, err := pointsOf(ctx, s.Etcd)
	if err = errors.Join(err, bench.Down(ctx, name)); err != nil {
		return nil, err
	}
	space.Points, space.FSes = points, formats()
	if f.faults == nil {
		return space, nil
	}
	for _, name := range f.faults {
		if !slices.Contains(space.Faults, name) {
			return nil, withCode(codeUsage, fmt.Errorf("--fault %s: it is not among those that this lab can do: %s", name, strings.Join(space.Faults, ", ")))
		}
	}
	space.Faults = f.faults
	return space, nil
}

// showHunt prints what was found.
func showHunt(o *output, r *hunt.Report) error {
	if o.json() {
		return o.object(r)
	}
	fmt.Fprintf(o.out, "%s  hunt in etcd %s, seed %d: %d rounds and %d trials in %v, %d features reached, %d runs broke off\n",
		strings.ToUpper(string(r.Verdict)), r.Etcd, r.Seed, r.Rounds, r.Trials, (time.Duration(r.Seconds) * time.Second), r.Features, r.Broken)
	if len(r.Findings) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KNOWN\tFAILS\tPASSES ON\tSIGNATURE")
	for _, f := range r.Findings {
		passes := "-"
		if f.Passes != nil {
			passes = fmt.Sprintf("%s (%d of %d)", f.Passes.Etcd, f.Passes.Passed, f.Passes.Of)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", orDash(strings.Join(f.Known, ", ")), f.Rate, passes, f.Signature)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, f := range r.Findings {
		fmt.Fprintf(o.out, "\n%s\nreproduce with: etcdlab run %s --seed 1\nevidence: %s\n", f.Message, f.Scenario, f.Evidence)
	}
	return nil
}
