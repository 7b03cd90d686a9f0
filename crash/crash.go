// Package crash owns a run: traffic beside a schedule of faults on a lab, with
// everything that happens written into a run directory, which is all that the
// judge will see.
package crash

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/crash/traffic"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/internal/seed"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/failpoint"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Result is what a run can say of itself before it is judged.
type Result struct {
	Dir        string
	Run        history.Run
	Operations int64 // returned, acknowledged or not
	Rounds     []history.Figures
	Tally      Tally
	// LoadStart and LoadEnd are when the load was started and had stopped, of
	// CLOCK_MONOTONIC; 0 where it was not.
	LoadStart, LoadEnd int64
}

// Run runs the faults on the lab and fills a run directory. Its error means
// that the run could not be carried out, not that etcd failed: what etcd did is
// in the directory, to be judged. The Result is good for as far as it came.
func Run(ctx context.Context, l *lab.Lab, o Options) (*Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := whole(l); err != nil {
		return nil, err
	}
	if o, err = o.onDisk(l.Spec.Disk.Kind); err != nil {
		return nil, err
	}
	if err := o.check(l); err != nil {
		return nil, err
	}
	c, err := connect(ctx, l)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.ready(ctx, c.slow(o.RecoverWithin)); err != nil {
		return nil, err
	}
	if err := c.Learn(ctx); err != nil {
		return nil, err
	}
	r := &run{opts: o, lab: l, cluster: c, members: newTaken(l.Members), unhealed: bookOf(l), logStart: map[string]int64{}, profiles: map[string]string{}}
	if err := r.choosePoints(ctx); err != nil {
		return nil, err
	}
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	err = r.play(ctx)
	return r.result(), errors.Join(err, r.dir.close())
}

// run is one run under way.
type run struct {
	opts    Options
	lab     *lab.Lab
	cluster *cluster
	members taken
	// unhealed has the records of the faults that are under way.
	unhealed book
	meta     history.Run
	dir      *runDir
	load     *traffic.Load
	// loadStart is when the load was started, of CLOCK_MONOTONIC.
	loadStart int64
	// loadEnd is when it had stopped.
	loadEnd int64
	// roundAt is when the next round's fault may come, of CLOCK_MONOTONIC.
	roundAt int64
	played  time.Duration // how long the rounds took together
	rounds  []history.Figures
	// profiles are the disks' before the run armed another.
	profiles map[string]string
	// logStart is where in each member's log the run began, in bytes.
	logStart map[string]int64
}

func (r *run) result() *Result {
	res := &Result{Dir: r.dir.path, Run: r.meta, Rounds: r.rounds, Tally: TallyOf(r.rounds, r.played), LoadStart: r.loadStart, LoadEnd: r.loadEnd}
	if r.load != nil {
		res.Operations = r.load.Returned()
	}
	return res
}

// play runs the schedule. However it ends, the lab is healed and the evidence
// gathered so far is stored.
func (r *run) play(ctx context.Context) (err error) {
	r.dir.event(history.Event{Time: clock.Now(), Kind: history.EventRunStart})
	for _, m := range r.lab.Members {
		r.dir.event(history.Event{Time: clock.Now(), Kind: history.EventServing, Member: m.Name(), Message: "before the run"})
	}
	if err = r.arm(ctx); err == nil {
		err = r.startLoad(ctx)
	}
	if err == nil {
		err = r.playRounds(ctx)
	}
	// The end of the evidence is gathered even when the run was interrupted.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cluster.slow(2*time.Minute))
	defer cancel()
	if r.load != nil {
		err = errors.Join(err, r.load.Stop())
		r.loadEnd = clock.Now()
	}
	if err != nil {
		r.settle(end)
	}
	err = errors.Join(err, r.finish(end), r.disarm(end))
	if err == nil {
		// Else a member that is away would be etcd's failure to serve.
		err = r.cluster.outside(end)
	}
	r.dir.event(history.Event{Time: clock.Now(), Kind: history.EventRunEnd, Message: errorText(err)})
	return err
}

// settleWithin is how long the members have to serve again after a run that
// broke off.
const settleWithin = 30 * time.Second

// settle waits for the members that a run which broke off has healed.
func (r *run) settle(ctx context.Context) {
	r.opts.Progress("waiting for the members to serve")
	r.cluster.serving(ctx, r.cluster.slow(settleWithin), func(member string) {
		r.dir.event(history.Event{Time: clock.Now(), Kind: history.EventServing, Member: member, Message: "after the run broke off"})
	})
}

func errorText(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return "it was interrupted"
	}
	return err.Error()
}

// choosePoints expands the point "*" to every failpoint of the binary, a round
// each, and tells a point that it does not have.
func (r *run) choosePoints(ctx context.Context) error {
	points := schedule.Values(r.opts.Schedule, fault.NameFailpoint, "point")
	if len(points) == 0 {
		return nil
	}
	first := r.lab.Members[0]
	info, err := first.Info(ctx)
	if err != nil {
		return err
	}
	if info.FailpointURL == "" {
		return &lab.UnsupportedError{Member: first.Name(), Capability: "failpoint", Reason: "its etcd was built without failpoints"}
	}
	list, err := failpoint.New(info.FailpointURL).List(ctx)
	if err != nil {
		return err
	}
	var missing error
	spec.Leaves(r.opts.Schedule, func(s *spec.Step) {
		p := s.With["point"]
		if s.Fault != fault.NameFailpoint || s.Optional || p == AllPoints || p == "" {
			return
		}
		if err := failpoint.Find(list, p); err != nil && missing == nil {
			missing = err
		}
	})
	if missing != nil {
		return missing
	}
	if slices.Contains(points, AllPoints) {
		var names []string
		for _, p := range list {
			names = append(names, p.Name)
		}
		before := len(r.opts.Schedule)
		r.opts.Schedule = schedule.Every(r.opts.Schedule, fault.NameFailpoint, "point", AllPoints, names)
		if r.opts.Rounds == before { // once through
			r.opts.Rounds = len(r.opts.Schedule)
		}
	}
	return nil
}

func (r *run) startLoad(ctx context.Context) error {
	var endpoints []traffic.Endpoint
	for _, m := range r.meta.Members {
		endpoints = append(endpoints, traffic.Endpoint{Member: m.Name, URL: m.ClientURL})
	}
	tlsConfig, err := r.lab.ClientTLS()
	if err != nil {
		return err
	}
	r.load, err = traffic.Start(context.WithoutCancel(ctx), traffic.Options{
		RunID: r.meta.ID, Prefix: r.meta.Prefix, Endpoints: endpoints, TLS: tlsConfig,
		Clients: r.opts.Clients, Rate: r.opts.Rate, Seed: r.opts.Seed, Profile: r.opts.Traffic, Sink: r.dir.ops,
		Watches: r.dir.watches, Base: r.meta.Base.Revision, Slow: r.lab.Slow,
	})
	r.loadStart = clock.Now()
	return err
}

func (r *run) playRounds(ctx context.Context) error {
	begun := clock.Now()
	defer func() { r.played = clock.Since(begun) }()
	for n := 1; r.more(n); n++ {
		figures, goOn, err := r.round(ctx, n)
		r.rounds = append(r.rounds, figures)
		if err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
		if !goOn {
			r.opts.Progress("round %d: the cluster did not come back; the run ends here", n)
			return nil
		}
	}
	return nil
}

// more says whether there is an nth round.
func (r *run) more(n int) bool {
	since := clock.Since(r.loadStart)
	switch {
	case n > 1 && r.opts.Budget > 0 && since >= r.opts.Budget:
		return false
	case r.opts.Rounds > 0:
		return n <= r.opts.Rounds
	}
	return n == 1 || since < r.opts.Duration
}

// acked waits until n more operations than from have been acknowledged.
func (r *run) acked(given context.Context, from int64, n int, max time.Duration) error {
	ctx, cancel := context.WithTimeout(given, max)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for r.load.Acked()-from < int64(n) {
		if err := r.load.Err(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			if given.Err() != nil {
				return given.Err()
			}
			return fmt.Errorf("only %d of %d operations were acknowledged within %v: %w", r.load.Acked()-from, n, max, ctx.Err())
		case <-look.C:
			if err := r.cluster.outside(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		case <-tick.C:
		}
	}
	return nil
}

func roundSeed(run uint64, n int) uint64 { return seed.Of(run, fmt.Sprintf("round/%d", n)) }
