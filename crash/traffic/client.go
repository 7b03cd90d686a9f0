package traffic

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/etcdlab/etcdlab/crash/history"
)

// client is one closed loop: the next operation starts when the last returned.
type client struct {
	load   *Load
	id     int32
	member string // "" asks any
	user   string
	etcd   *clientv3.Client
	rng    *rand.Rand
	seen   map[string]int64 // key -> mod revision last seen
	failed int              // operations in a row that were not acknowledged
	always bool             // cleans up: neither the load's end nor its limits hold it back
}

func (c *client) loop(ctx context.Context) {
	for ctx.Err() == nil && c.load.mix.draw(c.rng)(c, ctx) {
	}
}

// begin waits for its turn and numbers an operation; nil: the load is over.
func (c *client) begin(ctx context.Context) *history.Op {
	if c.always {
		return &history.Op{ID: c.load.nextID.Add(1), Client: c.id, Member: c.member, User: c.user}
	}
	if c.load.limiter != nil && c.load.limiter.Wait(ctx) != nil || ctx.Err() != nil {
		return nil
	}
	id := c.load.nextID.Add(1)
	if id > c.load.opts.MaxOps {
		return nil
	}
	return &history.Op{ID: id, Client: c.id, Member: c.member, User: c.user}
}

// finish records an operation that has returned, and says whether to go on.
func (c *client) finish(ctx context.Context, op *history.Op) bool {
	if op.Outcome == history.OK {
		raise(&c.load.newest.revision, op.Revision)
	}
	if !c.load.record(op) {
		return false
	}
	c.pause(ctx, op)
	return ctx.Err() == nil
}

// pause keeps a loop whose member is away, or whose user may do nothing, from
// filling the history with refusals: 1 ms after the first, doubling to 32 ms.
// Other refusals are answers that some operations ask for.
func (c *client) pause(ctx context.Context, op *history.Op) {
	switch {
	case op.Outcome == history.OK:
		c.failed = 0
		return
	case op.Outcome == history.Unknown, op.Denied:
		c.failed++
	}
	c.sleep(ctx, time.Millisecond<<min(max(0, c.failed-1), 5))
}

// sleep waits and says whether it was left to.
func (c *client) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// bounded is the context of one request. The run's end does not cancel it: its
// own time-out does, so that the history says Unknown only where the client
// truly did not learn the outcome in time.
func (c *client) bounded(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), timeout)
}

// kv does an operation of the KV service that fill fills in; its puts get their
// values here.
func (c *client) kv(ctx context.Context, fill func(*history.Op)) bool {
	op := c.begin(ctx)
	if op == nil {
		return false
	}
	fill(op)
	c.name(op)
	c.do(ctx, op)
	return c.finish(ctx, op)
}

// do sends the operation once and fills in what became of it.
func (c *client) do(ctx context.Context, op *history.Op) {
	ctx, cancel := c.bounded(ctx, c.load.opts.Timeout)
	defer cancel()
	request := toEtcd(op)
	op.Invoke = now()
	resp, err := c.etcd.Do(ctx, request)
	op.Return = now()
	if err != nil {
		refused(op, err)
		return
	}
	op.Outcome = history.OK
	c.answer(op, resp)
}

// header is what every answer begins with; etcd's types all have one.
type header interface {
	GetRevision() int64
	GetRaftTerm() uint64
	GetMemberId() uint64
}

// ask sends one request of another service than KV and fills in the call; its
// error is etcd's.
type ask func(context.Context, *grpc.ClientConn, *history.Call) (header, error)

// call does an operation of another service once; nil: the load is over.
func (c *client) call(ctx context.Context, kind history.Kind, call history.Call, ask ask) *history.Op {
	op := c.begin(ctx)
	if op == nil {
		return nil
	}
	return c.callAs(ctx, op, c.load.opts.Timeout, kind, call, ask)
}

// callAs is call for an operation that has begun, with a time-out of its own.
func (c *client) callAs(ctx context.Context, op *history.Op, timeout time.Duration, kind history.Kind, call history.Call, ask ask) *history.Op {
	op.Kind, op.Call = kind, &call
	short, cancel := c.bounded(ctx, timeout)
	defer cancel()
	op.Invoke = now()
	h, err := ask(short, c.etcd.ActiveConnection(), op.Call)
	op.Return = now()
	if err != nil {
		refused(op, err)
	} else {
		op.Outcome = history.OK
		op.Revision, op.RaftTerm, op.MemberID = h.GetRevision(), h.GetRaftTerm(), h.GetMemberId()
	}
	if !c.finish(ctx, op) && !c.always {
		return nil
	}
	return op
}

// name gives every put its value. Requests are numbered in one count over the
// whole operation: those of Then before those of Else, a nested transaction
// before its own requests, so that the number is the request's alone.
func (c *client) name(op *history.Op) {
	n := 0
	var branch func([]history.Request)
	branch = func(requests []history.Request) {
		for i := range requests {
			r := &requests[i]
			at := n
			n++
			switch r.Verb {
			case history.Put:
				r.Value = history.Value(c.load.opts.RunID, c.id, op.ID, at, c.size())
			case history.Txn:
				branch(r.Txn.Then)
				branch(r.Txn.Else)
			}
		}
	}
	branch(op.Then)
	branch(op.Else)
}

// size is drawn for every value.
func (c *client) size() int {
	sizes := c.load.opts.Profile.Sizes
	n := c.rng.IntN(c.load.sizes)
	for _, s := range sizes {
		if n -= s.Weight; n < 0 {
			return s.Bytes
		}
	}
	return sizes[0].Bytes
}

func (c *client) key(n int) string {
	return fmt.Sprintf("%sk%06d", c.load.opts.Prefix, n)
}

func (c *client) anyKey() string { return c.key(c.rng.IntN(c.load.opts.Profile.Keys)) }

// keys are up to n different ones.
func (c *client) keys(n int) []string {
	all := c.load.opts.Profile.Keys
	at := c.rng.IntN(all)
	step := 1 + c.rng.IntN(max(1, all/max(1, n)))
	var keys []string
	for i := range min(n, all) {
		if i > 0 && i*step >= all {
			break
		}
		keys = append(keys, c.key((at+i*step)%all))
	}
	return keys
}
