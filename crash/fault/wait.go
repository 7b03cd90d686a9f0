package fault

import (
	"context"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

// pollEvery is how often a condition that nothing announces is looked at.
const pollEvery = 5 * time.Millisecond

// until polls cond until it holds; false is the deadline.
func until(ctx context.Context, max time.Duration, cond func(context.Context) (bool, error)) (bool, error) {
	deadline := time.NewTimer(max)
	defer deadline.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if ok, err := cond(ctx); ok || err != nil {
			return ok, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-deadline.C:
			return cond(ctx) // a busy machine may not have come to look for long
		case <-tick.C:
		}
	}
}

// exited waits for etcd to end by itself.
func exited(ctx context.Context, m lab.Member, max time.Duration) (how string, ended bool, err error) {
	ended, err = until(ctx, max, func(ctx context.Context) (bool, error) {
		i, err := m.Info(ctx)
		if err != nil {
			return false, err
		}
		how = i.Exit
		// An agent that does not answer in time (StateLost) says nothing of etcd.
		return i.State == lab.StateStopped || i.State == lab.StateOff, nil
	})
	return how, ended, err
}
