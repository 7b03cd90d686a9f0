package traffic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/crash/history"
)

// client is one closed loop: the next operation starts when the last returned.
type client struct {
	load   *Load
	id     int32
	member string
	etcd   *clientv3.Client
	rng    *rand.Rand
	seen   map[string]int64 // key -> mod revision last seen
	failed int              // operations in a row that were not acknowledged
}

func (c *client) loop(ctx context.Context) {
	for ctx.Err() == nil && c.load.mix.draw(c.rng)(c, ctx) {
	}
}

// begin waits for its turn and numbers an operation; nil: the load is over.
func (c *client) begin(ctx context.Context) *history.Op {
	if c.load.limiter != nil && c.load.limiter.Wait(ctx) != nil || ctx.Err() != nil {
		return nil
	}
	id := c.load.nextID.Add(1)
	if id > c.load.opts.MaxOps {
		return nil
	}
	return &history.Op{ID: id, Client: c.id, Member: c.member}
}

// finish records an operation that has returned.
func (c *client) finish(ctx context.Context, op *history.Op) bool {
	if !c.load.record(op) {
		return false
	}
	c.pause(ctx, op.Outcome)
	return true
}

// kv does an operation of the KV service that fill has filled in.
func (c *client) kv(ctx context.Context, fill func(*history.Op)) bool {
	op := c.begin(ctx)
	if op == nil {
		return false
	}
	fill(op)
	c.do(ctx, op)
	return c.finish(ctx, op)
}

// pause keeps a loop whose member is away from filling the history with
// refusals: 1 ms after the first, doubling to 32 ms.
func (c *client) pause(ctx context.Context, o history.Outcome) {
	if o == history.OK {
		c.failed = 0
		return
	}
	d := time.Millisecond << min(c.failed, 5)
	c.failed++
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// do sends the operation once and fills in what became of it. The run's end
// does not cancel it: its own time-out does, so that the history says Unknown
// only where the client truly did not learn the outcome in time.
func (c *client) do(ctx context.Context, op *history.Op) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.load.opts.Timeout)
	defer cancel()
	var resp clientv3.OpResponse
	var err error
	request := toEtcd(op)
	op.Invoke = now()
	resp, err = c.etcd.Do(ctx, request)
	op.Return = now()
	if err != nil {
		op.Outcome, op.Error = classify(err), err.Error()
		return
	}
	op.Outcome = history.OK
	c.answer(op, resp)
}

// classify says Failed only of errors that etcd gives before it proposes; any
// other may hide an applied write. "no space" is not among them: the write that
// finds the quota used up is applied all the same (etcd, quotaApplierV3).
func classify(err error) history.Outcome {
	for _, definite := range []error{
		rpctypes.ErrTooManyRequests, rpctypes.ErrRequestTooLarge,
		rpctypes.ErrEmptyKey, rpctypes.ErrDuplicateKey, rpctypes.ErrTooManyOps,
	} {
		if errors.Is(err, definite) {
			return history.Failed
		}
	}
	return history.Unknown
}

func (c *client) key(n int) string {
	return fmt.Sprintf("%sk%06d", c.load.opts.Prefix, n)
}

func (c *client) anyKey() string { return c.key(c.rng.IntN(c.load.opts.Profile.Keys)) }

func (c *client) value(op *history.Op, n int) string {
	return history.Value(c.load.opts.RunID, c.id, op.ID, n, c.load.opts.Profile.Sizes[0].Bytes)
}

func (c *client) putOp(op *history.Op) {
	op.Then = []history.Request{{Verb: history.Put, Key: c.anyKey(), Value: c.value(op, 0)}}
}

func (c *client) getOp(op *history.Op) {
	op.Then = []history.Request{{Verb: history.Range, Key: c.anyKey()}}
}

func (c *client) staleGetOp(op *history.Op) {
	c.getOp(op)
	op.Then[0].Serializable = true
}

// rangeKeys reads ten keys in a row, half of the time with a limit.
func (c *client) rangeKeysOp(op *history.Op) {
	from := c.rng.IntN(c.load.opts.Profile.Keys)
	r := history.Request{Verb: history.Range, Key: c.key(from), End: c.key(from + 10)}
	if c.rng.IntN(2) == 0 {
		r.Limit = 3
	}
	op.Then = []history.Request{r}
}

func (c *client) staleRangeOp(op *history.Op) {
	c.rangeKeysOp(op)
	op.Then[0].Serializable = true
}

func (c *client) deleteOp(op *history.Op) {
	op.Then = []history.Request{{Verb: history.Delete, Key: c.anyKey()}}
}

func (c *client) compareSwapOp(op *history.Op) {
	key := c.anyKey()
	op.Kind = history.KindTxn
	op.Compares = []history.Compare{{Key: key, Target: history.CompareMod, Result: history.Equal, Number: c.seen[key]}}
	op.Then = []history.Request{{Verb: history.Put, Key: key, Value: c.value(op, 0)}, {Verb: history.Range, Key: key}}
	op.Else = []history.Request{{Verb: history.Range, Key: key}}
}

func (c *client) multiPutOp(op *history.Op) {
	n := c.rng.IntN(c.load.opts.Profile.Keys)
	other := c.key((n + 1 + c.rng.IntN(c.load.opts.Profile.Keys-1)) % c.load.opts.Profile.Keys)
	op.Kind = history.KindTxn
	op.Then = []history.Request{
		{Verb: history.Put, Key: c.key(n), Value: c.value(op, 0)},
		{Verb: history.Put, Key: other, Value: c.value(op, 1)},
		{Verb: history.Range, Key: c.key(n)},
	}
}

func (c *client) put(ctx context.Context) bool { return c.kv(ctx, c.putOp) }

func (c *client) get(ctx context.Context) bool { return c.kv(ctx, c.getOp) }

func (c *client) staleGet(ctx context.Context) bool { return c.kv(ctx, c.staleGetOp) }

func (c *client) rangeKeys(ctx context.Context) bool { return c.kv(ctx, c.rangeKeysOp) }

func (c *client) staleRange(ctx context.Context) bool { return c.kv(ctx, c.staleRangeOp) }

func (c *client) delete(ctx context.Context) bool { return c.kv(ctx, c.deleteOp) }

func (c *client) compareSwap(ctx context.Context) bool { return c.kv(ctx, c.compareSwapOp) }

func (c *client) multiPut(ctx context.Context) bool { return c.kv(ctx, c.multiPutOp) }
