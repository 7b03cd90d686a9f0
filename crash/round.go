package crash

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/internal/seed"
)

// loadWithin bounds the wait for the load to make its operations: a cluster
// that serves probes but not load has a deadline too.
const loadWithin = 60 * time.Second

// round plays one step of the schedule: load, faults, recovery, load. goOn is
// false when the cluster did not come back, which is for the judge; err is ours.
func (r *run) round(ctx context.Context, n int) (fig history.Figures, goOn bool, err error) {
	step := schedule.Round(r.opts.Schedule, r.opts.Seed, n)
	if step.Fault == fault.NameNone {
		return r.quiet(ctx, n)
	}
	begun := clock.Now()
	returned, ackedAtStart := r.load.Returned(), r.load.Acked()
	r.dir.event(history.Event{Time: begun, Kind: history.EventRoundStart, Round: n})
	rng := seed.Rand(roundSeed(r.opts.Seed, n), "round")
	fig = history.Figures{Clients: r.meta.Clients}
	st := &stage{r: r, n: n}
	defer func() {
		fig.RoundNS = clock.Now() - begun
		fig.Operations = int(r.load.Returned() - returned)
		fig.Failed = fig.Operations - int(r.load.Acked()-ackedAtStart)
		if err != nil {
			fig.Message = errorText(err)
		}
		r.dir.event(history.Event{Time: clock.Now(), Kind: history.EventRoundEnd, Round: n, Figures: &fig, Duration: fig.RoundNS})
		r.opts.Progress("%s", describe(n, r.opts.Rounds, fig))
	}()

	least := r.few(r.opts.OpsBefore)
	before := least + rng.IntN(least/2+1)
	if err := r.acked(ctx, ackedAtStart, before, r.cluster.slow(loadWithin)); err != nil {
		if broken := r.broken(ctx); broken != nil {
			err = broken // what keeps the load from going on
		}
		return fig, false, err
	}
	// A round's fault comes in the middle of its share of the duration.
	if err := r.hold(ctx, max(r.at(float64(n)-0.5), r.roundAt)); err != nil {
		return fig, false, err
	}
	r.roundAt = clock.Now() + int64(r.opts.Every)
	fig.PerSecond = float64(r.load.Acked()-ackedAtStart) / clock.Since(begun).Seconds()

	err = st.act(ctx, &step, "")
	healed := clock.Now()
	st.figures(&step, &fig)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fig, false, errors.Join(err, r.broken(ctx))
	}
	fig, goOn, err = r.recover(ctx, n, healed, fig)
	if goOn {
		// What was not waited for at once serves by now.
		for i := range fig.Faults {
			fig.Faults[i].Recovered = fig.Faults[i].Skipped == ""
		}
	}
	return fig, goOn, err
}

// sum puts the faults of a round together.
func sum(fig *history.Figures, faults []history.Injection) {
	fig.Faults, fig.Observed = faults, len(faults) > 0
	var names, messages []string
	for _, in := range faults {
		if !slices.Contains(names, in.Fault) {
			names = append(names, in.Fault)
		}
		for _, t := range in.Targets {
			if !slices.Contains(fig.Targets, t) {
				fig.Targets = append(fig.Targets, t)
			}
		}
		fig.Observed = fig.Observed && (in.Observed || in.Skipped != "")
		fig.RecoveryNS = max(fig.RecoveryNS, in.RecoveryNS)
		if in.Fault == fault.NamePowerLoss {
			fig.Policy = orElse(in.With["cut"], string(fault.Mixed))
		}
		switch {
		case in.Skipped != "":
			messages = append(messages, "skipped: "+in.Skipped)
		case in.Message != "" && (len(faults) == 1 || !in.Observed):
			messages = append(messages, in.Message)
		}
	}
	slices.Sort(fig.Targets)
	fig.Fault, fig.Message = strings.Join(names, ","), strings.Join(messages, "; ")
}

// recover waits for every member to serve and for the load to go on.
func (r *run) recover(ctx context.Context, n int, healed int64, fig history.Figures) (history.Figures, bool, error) {
	silent := r.cluster.serving(ctx, r.cluster.slow(r.opts.RecoverWithin), func(member string) {
		r.dir.event(history.Event{Time: clock.Now(), Kind: history.EventServing, Round: n, Member: member, Duration: clock.Now() - healed})
	})
	fig.RecoveryNS = max(fig.RecoveryNS, clock.Now()-healed)
	if ctx.Err() != nil {
		return fig, false, ctx.Err()
	}
	if len(silent) > 0 {
		if err := r.broken(ctx); err != nil {
			return fig, false, err
		}
	}
	for name, why := range silent {
		r.dir.event(history.Event{Time: clock.Now(), Kind: history.EventNotServing, Round: n, Member: name, Message: why.Error()})
	}
	if len(silent) > 0 {
		fig.Message = fmt.Sprintf("%s did not serve again", strings.Join(slices.Sorted(maps.Keys(silent)), ", "))
		return fig, false, nil
	}
	err := r.acked(ctx, r.load.Acked(), r.few(r.opts.OpsAfter), r.cluster.slow(loadWithin))
	if err == nil {
		err = r.hold(ctx, r.at(float64(n)))
	}
	if err != nil {
		if ctx.Err() != nil || r.load.Err() != nil {
			return fig, false, err
		}
		if err := r.broken(ctx); err != nil {
			return fig, false, err
		}
		// It answers probes and yet no load: etcd's failure, so the judge's.
		r.dir.event(history.Event{Time: clock.Now(), Kind: history.EventNotServing, Round: n, Message: err.Error()})
		fig.Message = err.Error()
		return fig, false, nil
	}
	return fig, true, nil
}

// few is how many operations to wait for where n were meant: what takes so much
// longer shows as much with fewer.
func (r *run) few(n int) int {
	const enough = 50
	return max(min(n, enough), int(float64(n)/max(1, r.lab.Slow)))
}

// broken says what broke a member that was neither etcd nor this run. It takes
// no time where the run was interrupted.
func (r *run) broken(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	return r.cluster.outside(ctx)
}

func describe(n, of int, f history.Figures) string {
	s := fmt.Sprintf("round %d/%d: ", n, max(n, of))
	if of == 0 {
		s = fmt.Sprintf("round %d: ", n)
	}
	if len(f.Targets) == 0 {
		return s + "it broke off before its fault"
	}
	s += f.Fault + " of " + strings.Join(f.Targets, ",")
	if f.Fault == fault.NamePowerLoss {
		s += fmt.Sprintf(", %d un-flushed writes: %d dropped, %d torn", f.Uncovered, f.Dropped, f.Torn)
	} else if f.Message != "" {
		s += ", " + f.Message
	}
	return s + fmt.Sprintf("; %d operations (%.0f/s), recovered in %v", f.Operations, f.PerSecond, time.Duration(f.RecoveryNS).Round(time.Millisecond))
}
