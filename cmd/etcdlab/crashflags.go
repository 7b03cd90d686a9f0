package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/report"
	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/crash/traffic"
	"github.com/etcdlab/etcdlab/crash/verify"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// crashFlags shape a run; `crash` and `run` share them. What is not said on
// the command line is left as the scenario has it.
type crashFlags struct {
	target, cut, profile, runDir string
	seed                         uint64
	rounds, clients              int
	rate                         float64
	points                       []string
	io, how                      string
	traffic                      string
	duration                     time.Duration
	keepDiskLogs                 bool
}

func (c *crashFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.target, "target", "", "a member, leader, followers, quorum, all or random")
	f.StringVar(&c.cut, "cut", "", "what a power loss keeps of un-flushed writes: drop, keep, prefix, random, torn or mixed")
	f.Uint64Var(&c.seed, "seed", 0, "seed of everything random in the run (default: drawn, and printed)")
	f.IntVar(&c.rounds, "rounds", 0, "number of faults")
	f.IntVar(&c.clients, "clients", 0, "concurrent clients (default 16, or the profile's of --traffic)")
	f.Float64Var(&c.rate, "rate", 0, "operations a second in all (default: as fast as answers come)")
	f.StringVar(&c.traffic, "traffic", "", "the load, by name; `etcdlab traffic` lists them (default default)")
	f.DurationVar(&c.duration, "duration", 0, "how long the load runs at least, such as 10m; the faults are spread over it")
	f.StringSliceVar(&c.points, "point", nil, "failpoints for --fault failpoint, one a round in turn; * is all (default raftBeforeSave)")
	f.StringVar(&c.io, "io", "", "what --fault io-error makes fail: read, write or flush, with conditions, such as write,nth=3,count=1 or read,range=1MiB+64KiB,for=2s (default flush,count=1)")
	f.StringVar(&c.how, "how", "", "how --fault host-crash ends a machine: panic, reset or hang (default: in turn)")
	f.StringVar(&c.profile, "disk-profile", "", "arm this disk profile once the members serve")
	f.StringVar(&c.runDir, "run-dir", "", "directory for run directories (default ./runs)")
	f.BoolVar(&c.keepDiskLogs, "keep-disk-logs", false, "store the write log around each cut in the run directory")
}

// over puts what was said over the options.
func (c *crashFlags) over(cmd *cobra.Command, o *crash.Options) error {
	o.Schedule = spec.CloneSteps(o.Schedule)
	if c.target != "" {
		spec.Leaves(o.Schedule, func(s *spec.Step) { s.Target = c.target })
	}
	for _, p := range []struct{ flag, fault, param, value string }{
		{"cut", fault.NamePowerLoss, "cut", c.cut}, {"io", fault.NameIOError, "io", c.io}, {"how", fault.NameHostCrash, "how", c.how},
	} {
		if p.value != "" && !schedule.Set(o.Schedule, p.fault, p.param, p.value) {
			return fmt.Errorf("--%s is for %s, which the run does not do", p.flag, p.fault)
		}
	}
	if len(c.points) > 0 {
		if !schedule.Has(o.Schedule, fault.NameFailpoint) {
			return fmt.Errorf("--point is for %s, which the run does not do", fault.NameFailpoint)
		}
		olds := schedule.Values(o.Schedule, fault.NameFailpoint, "point")
		o.Schedule = schedule.Every(o.Schedule, fault.NameFailpoint, "point", olds[0], c.points)
	}
	if err := checkProfile(c.profile); err != nil {
		return err
	}
	if c.profile != "" {
		o.Profile = c.profile
	}
	if c.traffic != "" {
		p, err := traffic.Find(c.traffic)
		if err != nil {
			return withCode(codeUsage, fmt.Errorf("%w; see `etcdlab traffic`", err))
		}
		o.Traffic = p
	}
	for name, set := range map[string]func(){
		"rounds": func() { o.Rounds = c.rounds }, "clients": func() { o.Clients = c.clients },
		"rate":     func() { o.Rate = c.rate },
		"duration": func() { o.Duration = c.duration },
	} {
		if cmd.Flags().Changed(name) {
			set()
		}
	}
	if cmd.Flags().Changed("rounds") && c.rounds < 1 || cmd.Flags().Changed("clients") && c.clients < 1 {
		return withCode(codeUsage, errors.New("--rounds and --clients must be at least 1"))
	}
	if cmd.Flags().Changed("duration") && c.duration <= 0 {
		return withCode(codeUsage, fmt.Errorf("--duration %v: must be more than 0, such as 10m", c.duration))
	}
	o.Seed = c.seed
	if !cmd.Flags().Changed("seed") {
		o.Seed = crash.RandomSeed()
	}
	o.KeepDiskLogs = c.keepDiskLogs
	o.Dir = c.runDir
	if o.Dir == "" {
		o.Dir = "runs"
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return err
	}
	o.Command = reproduce(o.Seed)
	o.Tool = toolVersion()
	return o.Check()
}

// reproduce is the command line as it was given, with the seed.
func reproduce(seed uint64) string {
	var words []string
	for i, a := range os.Args {
		if i == 0 {
			a = "etcdlab"
		}
		if strings.ContainsAny(a, " \t'\"*$&|;<>()") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	line := strings.Join(words, " ")
	if !strings.Contains(line, "--seed") {
		line += fmt.Sprintf(" --seed %d", seed)
	}
	return line
}

// runView is the JSON form of what a run did, and with a verdict what it means.
type runView struct {
	Verdict    verify.Result  `json:"verdict,omitempty"`
	Reason     string         `json:"reason,omitempty"`
	Scenario   string         `json:"scenario"`
	Etcd       string         `json:"etcd"`
	Provider   string         `json:"provider"`
	Seed       uint64         `json:"seed"`
	RunDir     string         `json:"runDir"`
	Report     string         `json:"report,omitempty"`
	Operations int            `json:"operations"`
	Faults     int            `json:"faults"`
	Tally      crash.Tally    `json:"tally"`
	Rounds     any            `json:"rounds,omitempty"`
	Checks     []verify.Check `json:"checks,omitempty"`
}

func viewOf(r *crash.Result) runView {
	v := runView{
		Scenario: r.Run.Scenario, Etcd: r.Run.Etcd, Provider: r.Run.Provider, Seed: r.Run.Seed,
		RunDir: r.Dir, Operations: int(r.Operations), Tally: r.Tally, Rounds: r.Rounds,
	}
	for _, f := range r.Rounds {
		for _, in := range f.Faults {
			if in.Observed {
				v.Faults++
			}
		}
	}
	return v
}

func (v runView) judged(j *verify.Verdict) runView {
	v.Verdict, v.Reason, v.Checks = j.Verdict, j.Reason, j.Checks
	v.Scenario, v.Etcd, v.Provider, v.Seed = j.Scenario, j.Etcd, j.Provider, j.Seed
	v.Operations, v.Faults = j.Operations, j.Faults
	v.Report = filepath.Join(v.RunDir, "report.html")
	return v
}

// runLocked runs on a lab that nothing else may change meanwhile.
func runLocked(ctx context.Context, name string, o crash.Options) (*crash.Result, error) {
	unlock, err := exclusive(ctx, name, o.Progress)
	if err != nil {
		return nil, err
	}
	defer unlock()
	l, err := open(ctx, name) // who held the lock may have changed it
	if err != nil {
		return nil, err
	}
	o.Binaries = releases(l, o.Progress)
	return crash.Run(ctx, l, o)
}

// judge verifies a run directory and writes the verdict and the report there. A
// verdict beside an error is one that could not be stored.
func judge(ctx context.Context, dir string, o *output) (*verify.Verdict, error) {
	o.progress("judging %s", dir)
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	v, err := verify.Verify(ctx, dir, verify.Options{Exe: []string{exe, "inspect-data"}})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(verify.Write(dir, v), report.Write(dir, v)); err != nil {
		return v, fmt.Errorf("store the verdict: %w", err)
	}
	return v, nil
}

// tell prints a verdict and gives its exit code; a pass that could not be stored
// is none.
func tell(o *output, v runView, j *verify.Verdict, stored error) error {
	if o.json() {
		if err := o.object(v); err != nil {
			return err
		}
	} else {
		report.Text(o.out, v.RunDir, j, v.RunDir, o.colour())
		if v.Tally.Faults > 1 {
			fmt.Fprintln(o.out, v.Tally)
		}
	}
	if stored != nil && j.Verdict != verify.Pass {
		fmt.Fprintln(o.err, "etcdlab:", stored)
		stored = nil
	}
	return errors.Join(verdictError(j.Verdict), stored)
}
