package traffic

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"github.com/etcdlab/etcdlab/crash/history"
)

var leaseOperations = []Operation{
	{"lease-grant", "a lease with an ID chosen by the client; a revocation when enough are alive", (*client).grant},
	{"lease-keep-alive", "once", (*client).keepAlive},
	{"lease-revoke", "with the keys attached to it", (*client).revoke},
	{"lease-ttl", "what is left of a lease, half of the time with its keys", (*client).timeToLive},
	{"lease-list", "every lease", (*client).leases},
}

// leases are those of the load that may be alive. Clients share them, so that
// one attaches keys to what another revokes.
type leases struct {
	mu   sync.Mutex
	most int
	all  []lease
	// sessions' leases are not shared, but revoked at the end with the others.
	sessions []int64
}

type lease struct {
	id  int64
	ttl time.Duration
	// until is when it has surely been gone for a while. Up to then it is
	// offered: attaching a key to a lease that has just expired must fail.
	until time.Time
}

func (l *leases) prune() {
	l.all = slices.DeleteFunc(l.all, func(x lease) bool { return time.Now().After(x.until) })
}

func (l *leases) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prune()
	return len(l.all) >= l.most
}

func (l *leases) add(id, ttl int64) {
	d := time.Duration(ttl) * time.Second
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, lease{id, d, time.Now().Add(d + time.Second)})
}

// any is one of them.
func (l *leases) any(r *rand.Rand) (id int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prune()
	if len(l.all) == 0 {
		return 0, false
	}
	return l.all[r.IntN(len(l.all))].id, true
}

func (l *leases) kept(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.all {
		if l.all[i].id == id {
			l.all[i].until = time.Now().Add(l.all[i].ttl + time.Second)
		}
	}
}

func (l *leases) hold(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions = append(l.sessions, id)
}

// left takes out one of those that are left at the end.
func (l *leases) left() (id int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.sessions); n > 0 {
		id, l.sessions = l.sessions[n-1], l.sessions[:n-1]
		return id, true
	}
	if n := len(l.all); n > 0 {
		id, l.all = l.all[n-1].id, l.all[:n-1]
		return id, true
	}
	return 0, false
}

func (l *leases) remove(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions = slices.DeleteFunc(l.sessions, func(x int64) bool { return x == id })
	l.all = slices.DeleteFunc(l.all, func(x lease) bool { return x.id == id })
}

// leaseID is of the run and the operation alone: the outcome of a grant may
// stay unknown, its lease's ID does not, and no other run on the lab has it.
func (l *Load) leaseID(op uint64) int64 {
	run := l.opts.RunID[:min(7, len(l.opts.RunID))]
	high, err := strconv.ParseUint(run, 16, 32)
	if err != nil {
		high = 1
	}
	return int64(high<<34|op&(1<<34-1)) | 1<<62
}

func (c *client) grant(ctx context.Context) bool {
	if c.load.leases.full() {
		return c.revoke(ctx)
	}
	ttls := c.load.opts.Profile.LeaseTTLs
	ttl := int64(ttls[c.rng.IntN(len(ttls))])
	id, op := c.grantFor(ctx, ttl)
	switch {
	case op == nil && id != 0: // granted, perhaps, as the load ended
		c.load.leases.add(id, ttl)
	case op != nil && op.Outcome != history.Failed:
		c.load.leases.add(id, op.Call.TTL)
	}
	return op != nil
}

// grantFor grants a lease of ttl seconds; the operation is nil when the load is over.
func (c *client) grantFor(ctx context.Context, ttl int64) (id int64, op *history.Op) {
	op = c.begin(ctx)
	if op == nil {
		return 0, nil
	}
	id = c.load.leaseID(op.ID)
	return id, c.callAs(ctx, op, c.load.opts.Timeout, history.KindLeaseGrant, history.Call{Lease: id, TTL: ttl}, func(ctx context.Context, conn *grpc.ClientConn, call *history.Call) (header, error) {
		r, err := pb.NewLeaseClient(conn).LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: id, TTL: ttl})
		if err != nil {
			return nil, err
		}
		call.Lease, call.TTL = r.ID, r.TTL
		return r.Header, nil
	})
}

func (c *client) keepAlive(ctx context.Context) bool {
	id, ok := c.load.leases.any(c.rng)
	if !ok {
		return c.grant(ctx)
	}
	return c.keepAliveOf(ctx, id) != nil
}

// keepAliveOf renews one lease once; nil: the load is over.
func (c *client) keepAliveOf(ctx context.Context, id int64) *history.Op {
	op := c.call(ctx, history.KindLeaseKeepAlive, history.Call{Lease: id}, func(ctx context.Context, conn *grpc.ClientConn, call *history.Call) (header, error) {
		s, err := pb.NewLeaseClient(conn).LeaseKeepAlive(ctx)
		if err != nil {
			return nil, err
		}
		if err := s.Send(&pb.LeaseKeepAliveRequest{ID: id}); err != nil {
			return nil, err
		}
		r, err := s.Recv()
		if err != nil {
			return nil, err
		}
		call.TTL = r.TTL
		return r.Header, s.CloseSend()
	})
	if op != nil && op.Outcome == history.OK && op.Call.TTL > 0 {
		c.load.leases.kept(id)
	}
	return op
}

func (c *client) revoke(ctx context.Context) bool {
	id, ok := c.load.leases.any(c.rng)
	if !ok {
		return c.grant(ctx)
	}
	return c.revokeOf(ctx, id)
}

func (c *client) revokeOf(ctx context.Context, id int64) bool {
	op := c.call(ctx, history.KindLeaseRevoke, history.Call{Lease: id}, func(ctx context.Context, conn *grpc.ClientConn, _ *history.Call) (header, error) {
		r, err := pb.NewLeaseClient(conn).LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: id})
		if err != nil {
			return nil, err
		}
		return r.Header, nil
	})
	if op != nil && op.Outcome != history.Unknown {
		c.load.leases.remove(id)
	}
	return op != nil
}

func (c *client) timeToLive(ctx context.Context) bool {
	id, ok := c.load.leases.any(c.rng)
	if !ok {
		return c.grant(ctx)
	}
	keys := c.rng.IntN(2) == 0
	return c.call(ctx, history.KindLeaseTTL, history.Call{Lease: id}, func(ctx context.Context, conn *grpc.ClientConn, call *history.Call) (header, error) {
		r, err := pb.NewLeaseClient(conn).LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: id, Keys: keys})
		if err != nil {
			return nil, err
		}
		call.TTL, call.Granted = r.TTL, r.GrantedTTL
		for _, k := range r.Keys {
			call.List = append(call.List, string(k))
		}
		slices.Sort(call.List)
		return r.Header, nil
	}) != nil
}

func (c *client) leases(ctx context.Context) bool {
	return c.call(ctx, history.KindLeases, history.Call{}, func(ctx context.Context, conn *grpc.ClientConn, call *history.Call) (header, error) {
		r, err := pb.NewLeaseClient(conn).LeaseLeases(ctx, &pb.LeaseLeasesRequest{})
		if err != nil {
			return nil, err
		}
		for _, l := range r.Leases {
			call.List = append(call.List, fmt.Sprintf("%x", l.ID))
		}
		slices.Sort(call.List)
		return r.Header, nil
	}) != nil
}
