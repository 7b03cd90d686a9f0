package traffic

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-multierror"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/time/rate"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/seed"
)

// Load is traffic under way.
type Load struct {
	opts    Options
	mix     weighted
	clients []*clientv3.Client // one a member, in order of the endpoints
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	limiter *rate.Limiter
	nextID  atomic.Uint64

	returned atomic.Int64
	acked    atomic.Int64
	perState sync.Map // member -> *atomic.Int64, acknowledged operations

	failMu sync.Mutex
	fail   error // of the sink
}

// Start connects and starts the loops. They end with ctx or Stop.
func Start(ctx context.Context, o Options) (*Load, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &Load{opts: o, cancel: cancel, mix: newWeighted(o.Profile.Mix)}
	if o.Rate > 0 {
		l.limiter = rate.NewLimiter(rate.Limit(o.Rate), max(1, int(o.Rate/100)))
	}
	for _, ep := range o.Endpoints {
		c, err := Dial(ep.URL, o.TLS, o.Slow)
		if err != nil {
			cancel()
			return nil, errors.Join(fmt.Errorf("connect to %s at %s: %w", ep.Member, ep.URL, err), l.closeClients())
		}
		l.clients = append(l.clients, c)
		l.perState.Store(ep.Member, new(atomic.Int64))
	}
	n := o.Clients + o.Profile.Clients + o.Profile.PerMember*len(o.Endpoints)
	for i := range n {
		at := i % len(o.Endpoints)
		c := &client{
			load:   l,
			id:     int32(i + 1),
			member: o.Endpoints[at].Member,
			etcd:   l.clients[at],
			rng:    seed.Rand(o.Seed, fmt.Sprintf("client/%d", i+1)),
			seen:   map[string]int64{},
		}
		l.wg.Go(func() { c.loop(ctx) })
	}
	return l, nil
}

// Stop ends the loops, waits for them, and gives the first error of the sink:
// a history with a hole must not be judged as if it were whole.
func (l *Load) Stop() error {
	l.cancel()
	l.wg.Wait()
	return errors.Join(l.Err(), l.closeClients())
}

// Err is the first error of the sink so far.
func (l *Load) Err() error {
	l.failMu.Lock()
	defer l.failMu.Unlock()
	return l.fail
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
	var errs *multierror.Error
	for _, c := range l.clients {
		if err := c.Close(); err != nil && !errors.Is(err, context.Canceled) {
			errs = multierror.Append(errs, err)
		}
	}
	l.clients = nil
	return errs.ErrorOrNil()
}

// record stores an operation that has returned. Losing one is the load's end:
// an acknowledged write that is missing from the history cannot be judged.
func (l *Load) record(op *history.Op) bool {
	if err := l.opts.Sink.Append(op); err != nil {
		l.failMu.Lock()
		if l.fail == nil {
			l.fail = fmt.Errorf("record operation %d: %w", op.ID, err)
		}
		l.failMu.Unlock()
		l.cancel()
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
