// Package fault owns the faults: what each does to members, how it is seen to
// have taken effect, and how it is healed. It speaks to members through the
// capability interfaces of package lab only.
package fault

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/lab"
)

// Scene is what a fault acts in: one round of one run.
type Scene struct {
	Round   int
	Seed    uint64 // of this application
	Record  func(history.Event)
	Slow    float64      // how many times longer things take than usual; less than 1 is 1
	Members []lab.Member // the whole lab's
	Cluster Cluster
	Lab     string // its name
	// Binaries gives a release for a member, built with failpoints as its own is,
	// if that can be had; nil is that none can.
	Binaries func(ctx context.Context, member, version string) (lab.Binaries, error)
}

// Cluster is the etcd cluster, for faults that ask or tell it something.
type Cluster interface {
	// Leader names the member that leads; it waits until one does.
	Leader(ctx context.Context) (string, error)
	// Client is the run's own client of one member, not to be closed.
	Client(member string) *clientv3.Client
	// Learn asks every member for its ID again, after it may have changed.
	Learn(ctx context.Context) error
}

// Effect is what was seen of a fault.
type Effect struct {
	Observed bool
	Message  string
}

// Fault is something done to members, once: each application has one of its own.
type Fault interface {
	// Needs gives an *lab.UnsupportedError when a member cannot be hit so.
	Needs(m lab.Member) error
	// Apply breaks the targets and returns when the effect has been seen, or
	// with Observed false when it did not come in time.
	Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error)
	// Heal gives the targets back what was taken and starts etcd again; it sees
	// that what it took back is gone, and does not wait for etcd to serve. It may
	// follow an Apply that failed half-way or that another process began, and
	// may be called twice.
	Heal(ctx context.Context, s *Scene, targets []lab.Member) error
}

// Latecomer is a fault of which an etcd may end after it was healed: by then it
// was about to.
type Latecomer interface {
	// Late starts the targets that ended of the fault after it was healed, and
	// says whether there were any.
	Late(ctx context.Context, s *Scene, targets []lab.Member) (bool, error)
}

// slow is d at the speed of the members' machines.
func (s *Scene) slow(d time.Duration) time.Duration {
	return time.Duration(float64(d) * max(1, s.Slow))
}

func (s *Scene) event(kind history.EventKind, member, message string) {
	s.Record(history.Event{Time: clock.Now(), Kind: kind, Round: s.Round, Member: member, Message: message})
}

func (s *Scene) timed(kind history.EventKind, member, message string, start int64) {
	now := clock.Now()
	s.Record(history.Event{Time: now, Kind: kind, Round: s.Round, Member: member, Message: message, Duration: now - start})
}

// each runs do for every member at once, waits for all, and aggregates.
func each(members []lab.Member, do func(lab.Member) error) error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs *multierror.Error
	)
	for _, m := range members {
		wg.Go(func() {
			if err := do(m); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = multierror.Append(errs, fmt.Errorf("%s: %w", m.Name(), err))
			}
		})
	}
	wg.Wait()
	if errs != nil {
		errs.ErrorFormat = func(all []error) string { return errors.Join(all...).Error() }
	}
	return errs.ErrorOrNil()
}

// start starts etcd on a member and notes it.
func (s *Scene) start(ctx context.Context, m lab.Member) error {
	r, err := lab.Can[lab.Runner](m)
	if err != nil {
		return err
	}
	begun := clock.Now()
	if err := r.Start(ctx); err != nil {
		return err
	}
	s.timed(history.EventStarted, m.Name(), "", begun)
	return nil
}

func needs[C any](m lab.Member) error {
	_, err := lab.Can[C](m)
	return err
}

// unmountable gives the *lab.UnmountableErrors inside err, and whether there
// is anything else in it.
func unmountable(err error) (lost []*lab.UnmountableError, other bool) {
	if err == nil {
		return nil, false
	}
	errs := []error{err}
	if m, ok := errors.AsType[*multierror.Error](err); ok {
		errs = m.Errors
	}
	for _, e := range errs {
		if u, ok := errors.AsType[*lab.UnmountableError](e); ok {
			lost = append(lost, u)
		} else {
			other = true
		}
	}
	return lost, other
}
