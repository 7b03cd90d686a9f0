package crash

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/clock"
)

// errNoLoad says that the members took no load although nothing was done to
// them: that is for the judge.
var errNoLoad = errors.New("the cluster took no load")

// tellEvery is how often a long wait says how far it is.
const tellEvery = 30 * time.Second

// share is how much of the run's duration one round has; 0 without a duration,
// and where as many rounds are played as fit.
func (o Options) share() time.Duration {
	if o.Rounds == 0 {
		return 0
	}
	return o.Duration / time.Duration(o.Rounds)
}

// at is the instant, of CLOCK_MONOTONIC, after so many shares of the duration.
func (r *run) at(shares float64) int64 {
	return r.loadStart + int64(shares*float64(r.opts.share()))
}

// hold lets the load run until the instant. Its error is errNoLoad if none was
// acknowledged for long, or ours.
func (r *run) hold(ctx context.Context, until int64) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	acked, since, looked, told := r.load.Acked(), clock.Now(), clock.Now(), clock.Now()
	for clock.Now() < until {
		if err := r.load.Err(); err != nil {
			return err
		}
		now := clock.Now()
		if n := r.load.Acked(); n != acked {
			acked, since = n, now
		} else if within := r.cluster.slow(loadWithin); time.Duration(now-since) > within {
			return fmt.Errorf("%w: nothing was acknowledged for %v", errNoLoad, within)
		}
		if time.Duration(now-looked) > time.Second {
			looked = now
			if err := r.cluster.outside(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
		if time.Duration(now-told) > tellEvery {
			told = now
			r.opts.Progress("%d operations acknowledged, %v to go", acked, time.Duration(until-now).Round(time.Second))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// quiet plays a round without a fault: load, for as long as the round is to last
// and until as much was acknowledged as rounds wait for. goOn and err are as
// round's.
func (r *run) quiet(ctx context.Context, n int) (fig history.Figures, goOn bool, err error) {
	begun := clock.Now()
	returned, acked := r.load.Returned(), r.load.Acked()
	r.dir.event(history.Event{Time: begun, Kind: history.EventRoundStart, Round: n})
	fig = history.Figures{Fault: fault.NameNone, Clients: r.meta.Clients, Message: "nothing was done to the members"}
	err = r.acked(ctx, acked, r.few(r.opts.OpsBefore), r.cluster.slow(loadWithin))
	if err == nil {
		err = r.hold(ctx, r.at(float64(n)))
	}
	silent := r.noLoad(ctx, n, err)
	if silent {
		fig.Message, err = err.Error(), nil
	}
	end := clock.Now()
	fig.RoundNS = end - begun
	fig.Operations = int(r.load.Returned() - returned)
	fig.Failed = fig.Operations - int(r.load.Acked()-acked)
	fig.PerSecond = float64(r.load.Acked()-acked) / time.Duration(fig.RoundNS).Seconds()
	if err != nil {
		fig.Message = errorText(err)
	}
	r.dir.event(history.Event{Time: end, Kind: history.EventRoundEnd, Round: n, Figures: &fig, Duration: fig.RoundNS})
	r.opts.Progress("round %d/%d: no fault; %d operations (%.0f/s)", n, max(n, r.opts.Rounds), fig.Operations, fig.PerSecond)
	return fig, err == nil && !silent, err
}

// noLoad says whether err is that the members serve and yet take no load, which
// is for the judge, and notes it.
func (r *run) noLoad(ctx context.Context, n int, err error) bool {
	if err == nil || ctx.Err() != nil || r.load.Err() != nil || r.broken(ctx) != nil {
		return false
	}
	if !errors.Is(err, errNoLoad) && !errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	r.dir.event(history.Event{Time: clock.Now(), Kind: history.EventNotServing, Round: n, Message: err.Error()})
	return true
}
