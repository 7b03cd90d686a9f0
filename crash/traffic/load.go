package traffic

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/time/rate"

	"github.com/etcdlab/etcdlab/crash/history"
)

// Load is traffic under way.
type Load struct {
	opts       Options
	mix        weighted
	sizes      int // the sum of their weights
	starts     starts
	kubernetes bool // some operations are on objects
	clients    []*clientv3.Client
	opened     []*clientv3.Client // all of them, to be closed
	limiter    *rate.Limiter
	newest     newest
	leases     leases
	recorders  []*recorder
	admin      *admin // of a profile with authentication

	nextID    atomic.Uint64 // of operations
	nextWatch atomic.Uint64

	// The loops end before the watchers do, which are to see their last writes.
	stopLoops, stopWatches context.CancelFunc
	loops, watchers        sync.WaitGroup

	returned atomic.Int64
	acked    atomic.Int64
	perState sync.Map // member -> *atomic.Int64, acknowledged operations

	failMu sync.Mutex
	fail   error // of a sink
}

// drainWithin is how long the recorders have at the end to see what was
// acknowledged, times Slow.
const drainWithin = 5 * time.Second

// Start connects and starts the loops. They end with ctx or Stop.
func Start(ctx context.Context, o Options) (*Load, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Load{opts: o, mix: newWeighted(o.Profile.Mix), starts: newStarts(o.Profile.WatchFrom)}
	l.newest.base = o.Base
	l.newest.revision.Store(o.Base)
	l.leases.most = o.Profile.Leases
	for _, s := range o.Profile.Sizes {
		l.sizes += s.Weight
	}
	for _, op := range kubernetesOperations {
		l.kubernetes = l.kubernetes || o.Profile.Mix[op.Name] > 0
	}
	if o.Rate > 0 {
		l.limiter = rate.NewLimiter(rate.Limit(o.Rate), max(1, int(o.Rate/100)))
	}
	loops, stopLoops := context.WithCancel(ctx)
	watches, stopWatches := context.WithCancel(ctx)
	l.stopLoops, l.stopWatches = stopLoops, stopWatches
	run, err := l.crew(loops)
	if err != nil {
		return nil, errors.Join(err, l.Stop())
	}
	l.startWatches(watches)
	for _, r := range run {
		l.loops.Go(func() { r(loops) })
	}
	return l, nil
}

func (l *Load) startWatches(ctx context.Context) {
	for _, r := range l.recorders {
		l.watchers.Go(func() { r.run(ctx) })
	}
	if l.opts.Watches == nil {
		return
	}
	p := &l.opts.Profile
	for i := range p.Watchers + p.SlowWatchers {
		w := &watcher{client: l.client("watcher", i, i, User{}), slow: i >= p.Watchers}
		l.watchers.Go(func() { w.run(ctx) })
	}
}

// Stop ends the clients, lets the recorders see the last that was acknowledged,
// ends the watchers, puts authentication back, and gives the first error of a
// sink: a history with a hole must not be judged as if it were whole.
func (l *Load) Stop() error {
	l.stopLoops()
	l.loops.Wait()
	l.revokeLeases()
	var errs error
	if l.admin != nil {
		errs = l.admin.restore(context.Background())
	}
	l.drain(l.opts.slow(drainWithin))
	l.stopWatches()
	l.watchers.Wait()
	return errors.Join(l.Err(), errs, l.closeClients())
}

// Err is the first error of a sink so far.
func (l *Load) Err() error {
	l.failMu.Lock()
	defer l.failMu.Unlock()
	return l.fail
}

// broken ends the load with an error of a sink.
func (l *Load) broken(err error) {
	l.failMu.Lock()
	if l.fail == nil {
		l.fail = err
	}
	l.failMu.Unlock()
	l.stopLoops()
	l.stopWatches()
}

// Returned is the number of operations that have returned, acknowledged or not.
func (l *Load) Returned() int64 { return l.returned.Load() }

// Acked is the number of operations that were acknowledged.
func (l *Load) Acked() int64 { return l.acked.Load() }

// AckedBy is the number of operations that one member's clients had acknowledged.
func (l *Load) AckedBy(member string) int64 {
	if n, ok := l.perState.Load(member); ok {
		return n.(*atomic.Int64).Load()
	}
	return 0
}

func (l *Load) closeClients() error {
	var errs []error
	for _, c := range l.opened {
		if err := c.Close(); err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	l.opened, l.clients = nil, nil
	return errors.Join(errs...)
}

// record stores an operation that has returned. Losing one is the load's end:
// an acknowledged write that is missing from the history cannot be judged.
func (l *Load) record(op *history.Op) bool {
	if err := l.opts.Sink.Append(op); err != nil {
		l.broken(fmt.Errorf("record operation %d: %w", op.ID, err))
		return false
	}
	l.returned.Add(1)
	if op.Outcome == history.OK {
		l.acked.Add(1)
		if n, ok := l.perState.Load(op.Member); ok {
			n.(*atomic.Int64).Add(1)
		}
	}
	return true
}

// cleanWithin bounds the revocation of what leases are left, times Slow.
const cleanWithin = 3 * time.Second

// revokeLeases makes the end quiet: leases that expired while the end state is
// gathered would move the revision under it.
func (l *Load) revokeLeases() {
	if l.Err() != nil || len(l.clients) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.opts.slow(cleanWithin))
	defer cancel()
	c := l.client("janitor", 0, 0, User{})
	c.always = true
	for n := 0; ctx.Err() == nil; n++ {
		id, ok := l.leases.left()
		if !ok {
			return
		}
		c.at(n)
		c.revokeOf(ctx, id)
	}
}
