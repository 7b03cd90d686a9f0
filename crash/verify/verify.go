package verify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/etcdlab/etcdlab/crash/history"
)

// Options of Verify.
type Options struct {
	// Exe starts the child that reads possibly corrupt files; the arguments of
	// datadir.ChildMain follow it. nil reads in this process, which a corrupt
	// file may end.
	Exe []string
}

// Verify judges the run in dir. The error is of a directory that is no run's
// and of a context that ended; everything else that is wrong with the evidence
// is in the verdict.
func Verify(ctx context.Context, dir string, o Options) (*Verdict, error) {
	// Nearly all of it is arrays without pointers, which cost nothing to collect
	// and, left lying, as much memory again.
	defer debug.SetGCPercent(debug.SetGCPercent(60))
	run, err := history.ReadRun(dir)
	if err != nil {
		return nil, fmt.Errorf("verify %s: read the run's description: %w", dir, err)
	}
	if run.Prefix == "" || len(run.Members) == 0 {
		return nil, fmt.Errorf("verify %s: %s names no prefix or no members; it is not a run that can be judged", dir, history.FileRun)
	}
	c := &evidence{run: run}
	if err := c.load(ctx, history.Dir(dir), o); err != nil {
		return nil, fmt.Errorf("verify %s: %w", dir, err)
	}
	v := &Verdict{
		Run: run.ID, Scenario: run.Scenario, Etcd: run.Etcd, Provider: run.Provider, Seed: run.Seed,
	}
	if c.ops != nil {
		v.Operations = len(c.ops.all) + len(c.ops.calls)
	}
	checks, err := c.judgeStore(ctx, history.Dir(dir))
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", dir, err)
	}
	faults, observed := c.judgeFaults()
	v.Faults = observed
	checks = append(checks, c.judgeHash(), c.judgeMembers(), c.judgeEtcd(history.Dir(dir)), c.judgeDisk(), c.judgeRecovery(history.Dir(dir)), faults)
	c.allowFor(checks)
	c.doubt(checks)
	for _, check := range checks {
		if check.Name != "" { // there was something of its kind
			v.Checks = append(v.Checks, check)
		}
	}
	v.sum(run.Checks)
	return v, nil
}

// evidence is what the run directory holds, or why it does not.
type evidence struct {
	run       *history.Run
	final     *history.Final
	finalErr  error
	events    []history.Event
	eventsErr error
	ops       *ops
	opsErr    error
	keys      *keyTable
	cluster   *cluster
	eras      *eras
}

func (c *evidence) load(ctx context.Context, dir history.Dir, o Options) error {
	c.keys = newKeyTable()
	c.final, c.finalErr = history.ReadFinal(string(dir))
	if c.finalErr != nil {
		c.final, c.finalErr = nil, bare(c.finalErr)
	}
	c.events, c.eventsErr = history.ReadEvents(string(dir))
	c.eventsErr = bare(c.eventsErr)
	slices.SortStableFunc(c.events, func(a, b history.Event) int { return cmp.Compare(a.Time, b.Time) })
	slower(c.run, c.events)
	c.eras = erasOf(c.run, c.final, c.events)
	var group errgroup.Group
	group.Go(func() error {
		c.ops, c.opsErr = loadOps(dir.Path(history.FileOps), c.eras, c.keys)
		c.opsErr = bare(c.opsErr)
		return nil
	})
	members, err := inspect(ctx, dir, c.run, c.final, o)
	_ = group.Wait()
	if err != nil {
		return err
	}
	for _, m := range members {
		m.err = bare(m.err)
		m.number(c.keys)
	}
	c.cluster = newCluster(members)
	return nil
}

// bare leaves paths out of an error: the verdict is the same bytes wherever the
// run directory is.
func bare(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%s %s: %w", path.Op, filepath.Base(path.Path), path.Err)
	}
	return err
}

// judgeStore makes the checks that need history and store together.
func (c *evidence) judgeStore(ctx context.Context, dir history.Dir) ([]Check, error) {
	none := func(v Result, why string) []Check {
		return []Check{{Name: checkDurability, Verdict: v, Detail: why}, {Name: checkOrder, Verdict: v, Detail: why}}
	}
	t := &teller{run: c.run, events: c.events, h: c.ops, keys: c.keys, end: prefixEnd(c.run.Prefix)}
	watches := dir.Path(history.FileWatches)
	switch {
	case c.opsErr != nil:
		return append(none(Error, "the history cannot be read: "+c.opsErr.Error()), c.judgeWatch(watches, t, nil, "the history cannot be read")), nil
	case c.ops.malformed != "":
		return append(none(Error, "the history contradicts itself: "+c.ops.malformed), c.judgeWatch(watches, t, nil, "the history contradicts itself")), nil
	}
	rt := newRealtime(c.ops, c.run.Base.Revision, c.run.ClockUncertainty)
	if c.cluster.ref == nil {
		why := "no member's store can be read"
		if c.cluster.recovered {
			why = "no serving member's store can be read"
		}
		// Real time can be judged without a store.
		var f findings
		rt.judge(c.ops, t, &f)
		checks := none(Inconclusive, why)
		checks = append(checks, c.judgeCompaction(nil, rt, t), c.judgeWatch(watches, t, nil, why))
		checks[1] = settle(checkOrder, &f, doubts{why}, fmt.Sprintf("%d findings against %d operations", f.total, len(c.ops.all)), "")
		return append(checks, c.judgeLeases(nil), c.judgeLocks(nil), c.judgeAuth(t), c.judgeLiveness(t, rt)), nil
	}
	r, err := c.replay(ctx, dir, t, rt)
	if err != nil {
		return nil, err
	}
	durability := judgeDurability(r)
	if c.final == nil && durability.Verdict == Pass {
		durability.Verdict, durability.Detail = Inconclusive, "there is no final state: "+c.finalErr.Error()
	}
	checks := []Check{
		durability, judgeOrder(r, rt), judgeReads(r), judgeTransactions(r), c.judgeCompaction(r, rt, t),
		c.judgeWatch(watches, t, r, ""), c.judgeLeases(r), c.judgeLocks(r),
		c.judgeAuth(t), c.judgeLiveness(t, rt),
	}
	opinion, err := c.judgeOpinion(ctx, dir, r)
	return append(checks, opinion), err
}

// replay makes the chronicle and goes through it.
func (c *evidence) replay(ctx context.Context, dir history.Dir, t *teller, rt *realtime) (*replay, error) {
	var told *tapes
	var watchErr error
	if compacted := c.cluster.ref.compacted(); compacted > c.run.Base.Revision {
		told, watchErr = recorded(dir.Path(history.FileWatches), c.run, c.keys, compacted)
	}
	r := newReplay(c.ops, t, c.cluster, newChronicle(c.run.Base.Revision, c.cluster.ref.store, told), rt.floor)
	r.watchErr = bare(watchErr)
	return r, r.run(ctx)
}

// sum makes the verdict of the checks': a failure outweighs an error, and that
// a doubt. No checks at all are no pass.
func (v *Verdict) sum(asked []string) {
	for _, want := range []Result{Fail, Error, Inconclusive} {
		for _, c := range v.Checks {
			if want == Inconclusive && len(asked) > 0 && !slices.Contains(asked, c.Name) {
				continue
			}
			if c.Verdict == want {
				v.Verdict, v.Reason = want, c.Name+": "+c.Detail
				if len(c.Evidence) > 0 && want == Fail {
					v.Reason = c.Name + ": " + c.Evidence[0].Message
				}
				return
			}
		}
	}
	v.Verdict = Pass
	for _, name := range asked {
		if !slices.ContainsFunc(v.Checks, func(c Check) bool { return c.Name == name }) {
			v.Verdict, v.Reason = Inconclusive, "the check "+name+", which must come to a verdict, had nothing to look at"
			return
		}
	}
	if len(v.Checks) == 0 {
		v.Verdict, v.Reason = Inconclusive, "nothing was checked"
	}
}

// Write stores the verdict in the run directory: indented, in one order, and
// without anything that depends on where or when it was made.
func Write(dir string, v *Verdict) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return history.WriteFile(filepath.Join(dir, history.FileVerdict), append(b, '\n'))
}
