package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/bugs"
	"github.com/etcdlab/etcdlab/lab/spec"
)

func newBugs() *cobra.Command {
	cmd := &cobra.Command{Use: "bugs", Short: "List etcd's documented bugs that there is a scenario for", Args: cobra.NoArgs}
	o := addOutput(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		if o.json() {
			views := []bugView{}
			for _, b := range bugs.All() {
				views = append(views, viewBug(b))
			}
			return o.object(struct {
				Bugs []bugView `json:"bugs"`
			}{views})
		}
		w := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "BUG\tBAD\tGOOD\tWHAT")
		for _, b := range bugs.All() {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", b.ID, b.Bad, b.Good, b.Title)
		}
		return w.Flush()
	}
	cmd.AddCommand(newBugsRun())
	return cmd
}

// bugView is the JSON form of a bug.
type bugView struct {
	ID       string       `json:"id"`
	Title    string       `json:"title"`
	Link     string       `json:"link"`
	Bad      string       `json:"bad"`
	Good     string       `json:"good"`
	In       []bugs.Range `json:"in"`
	Look     string       `json:"look"`
	Scenario string       `json:"scenario"`
	Patches  []string     `json:"patches,omitempty"`
}

func viewBug(b bugs.Bug) bugView {
	v := bugView{ID: b.ID, Title: b.Title, Link: b.Link, Bad: b.Bad, Good: b.Good, In: b.In, Look: b.Look, Scenario: b.Scenario()}
	if sc, err := crash.FindScenario(b.Scenario()); err == nil {
		v.Patches = sc.Lab.Etcd.Patches
	}
	return v
}

// bugRunner tries the scenarios of bugs.
type bugRunner struct {
	provider, dir string
	o             *output
	quiet         *output // of what each run would tell
}

func newBugsRun() *cobra.Command {
	var (
		r           bugRunner
		seeds, jobs int
		first       uint64
	)
	cmd := &cobra.Command{
		Use:   "run [BUG...]",
		Short: "Run bugs' scenarios on the last release that has them and the first that does not",
	}
	f := cmd.Flags()
	f.IntVar(&seeds, "seeds", 10, "how many seeds each release is tried with")
	f.Uint64Var(&first, "seed", 1, "the first of them")
	f.IntVar(&jobs, "jobs", 1, "how many labs at a time")
	f.StringVar(&r.provider, "provider", "", "process, docker or vm (default: process for root on Linux, else docker)")
	f.StringVar(&r.dir, "run-dir", "runs", "directory for run directories; of those as documented only one for each bug is kept")
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		list := bugs.All()
		if len(args) > 0 {
			list = nil
			for _, a := range args {
				b, err := bugs.Find(a)
				if err != nil {
					return withCode(codeUsage, err)
				}
				list = append(list, b)
			}
		}
		if seeds < 1 || jobs < 1 {
			return withCode(codeUsage, errors.New("--seeds and --jobs must be at least 1"))
		}
		if r.dir, err = filepath.Abs(r.dir); err != nil {
			return err
		}
		var all []uint64
		for i := range seeds {
			all = append(all, first+uint64(i))
		}
		r.o, r.quiet = o, &output{format: "text", out: io.Discard, err: io.Discard, start: time.Now()}
		if err := r.build(cmd.Context(), list); err != nil {
			return err
		}
		kept := map[string]bool{}
		rows := bugs.Run(cmd.Context(), list, all, jobs, r.try, func(t *bugs.Outcome) { r.tell(t, kept) })
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		return r.table(rows)
	}
	return cmd
}

// scenario is a bug's, on a release.
func (r *bugRunner) scenario(b bugs.Bug, etcd string) (crash.Scenario, *spec.Lab, error) {
	sc, err := crash.FindScenario(b.Scenario())
	if err != nil {
		return sc, nil, err
	}
	flags := labFlags{provider: r.provider, etcd: etcd, membersGiven: func() bool { return false }}
	s, err := scenarioLab(sc, &flags, "", sc.Options.EtcdArgs())
	return sc, s, err
}

// build makes what is not in the cache, so that no run has to.
func (r *bugRunner) build(ctx context.Context, list []bugs.Bug) error {
	for _, b := range list {
		for _, version := range []string{b.Bad, b.Good} {
			_, s, err := r.scenario(b, version)
			if err != nil {
				return err
			}
			p, err := provider(ctx, s, r.quiet)
			if err != nil {
				return err
			}
			if _, err := build(ctx, s, p, r.o); err != nil {
				return fmt.Errorf("bug %s: %w", b.ID, err)
			}
		}
	}
	return nil
}

func (r *bugRunner) try(ctx context.Context, t bugs.Try) (out bugs.Outcome) {
	begun := time.Now()
	defer func() { out.Took = time.Since(begun) }()
	sc, s, err := r.scenario(t.Bug, t.Etcd)
	if err != nil {
		return bugs.Outcome{Err: err}
	}
	opts := sc.Options
	opts.Seed, opts.Dir, opts.Tool, opts.Progress = t.Seed, r.dir, toolVersion(), r.quiet.progress
	opts.Command = fmt.Sprintf("etcdlab run %s --etcd %s --seed %d", sc.Name, t.Etcd, t.Seed)
	p, err := provider(ctx, s, r.quiet)
	if err == nil {
		err = vacant(ctx, p, s, opts)
	}
	if err != nil {
		return bugs.Outcome{Err: err}
	}
	res, verdict, err := runJudged(ctx, p, s, opts, false, r.quiet)
	if res != nil {
		out.RunDir = res.Dir
	}
	out.Verdict, out.Err = verdict, err
	return out
}

// tell says what became of a try, and removes what nobody will look at.
func (r *bugRunner) tell(t *bugs.Outcome, kept map[string]bool) {
	what := "not found"
	switch {
	case t.Err != nil:
		what = "broken off: " + t.Err.Error()
	case t.Found:
		what = "found: " + t.Check + ": " + t.Evidence.Message
	case t.Verdict.Reason != "":
		what += "; " + string(t.Verdict.Verdict) + ": " + t.Verdict.Reason
	}
	if r := []rune(what); len(r) > 200 {
		what = string(r[:200]) + "..."
	}
	if t.RunDir != "" && (t.Odd() || t.Bad() && !kept[t.Bug.ID]) {
		kept[t.Bug.ID] = kept[t.Bug.ID] || t.Found
		what += " (" + t.RunDir + ")"
	} else if t.RunDir != "" {
		if err := os.RemoveAll(t.RunDir); err != nil {
			what += "; its run directory cannot be removed: " + err.Error()
		}
	}
	r.o.progress("bug %s on %s, seed %d, %v: %s", t.Bug.ID, t.Etcd, t.Seed, t.Took.Round(100*time.Millisecond), what)
}

func (r *bugRunner) table(rows []bugs.Row) error {
	var wrong []string
	for i := range rows {
		if !rows[i].AsDocumented() {
			wrong = append(wrong, rows[i].Bug.ID)
		}
	}
	if r.o.json() {
		if err := r.o.object(viewRows(rows, len(wrong) == 0)); err != nil {
			return err
		}
	} else if err := bugs.Table(r.o.out, rows); err != nil {
		return err
	}
	if wrong != nil {
		return withCode(codeFail, fmt.Errorf("not as documented: %s", strings.Join(wrong, ", ")))
	}
	return nil
}

// rowView is the JSON form of what the tries of a bug came to.
type rowView struct {
	ID           string     `json:"id"`
	Bad          string     `json:"bad"`
	Good         string     `json:"good"`
	OnBad        bugs.Count `json:"onBad"`
	OnGood       bugs.Count `json:"onGood"`
	MedianFind   float64    `json:"medianFindSeconds,omitempty"`
	AsDocumented bool       `json:"asDocumented"`
}

type rowsView struct {
	AsDocumented bool      `json:"asDocumented"`
	Bugs         []rowView `json:"bugs"`
}

func viewRows(rows []bugs.Row, all bool) rowsView {
	v := rowsView{AsDocumented: all, Bugs: []rowView{}}
	for i := range rows {
		r := &rows[i]
		v.Bugs = append(v.Bugs, rowView{
			ID: r.Bug.ID, Bad: r.Bug.Bad, Good: r.Bug.Good, OnBad: r.Bad, OnGood: r.Good,
			MedianFind: r.Median().Seconds(), AsDocumented: r.AsDocumented(),
		})
	}
	return v
}
