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

// build fills in what an operation asks.
type build func(*client, *history.Op)

func (c *client) loop(ctx context.Context) {
	for ctx.Err() == nil {
		if c.load.limiter != nil && c.load.limiter.Wait(ctx) != nil {
			return
		}
		id := c.load.nextID.Add(1)
		if id > c.load.opts.MaxOps {
			return
		}
		op := &history.Op{ID: id, Client: c.id, Member: c.member}
		c.load.opts.Mix.draw(c.rng)(c, op)
		c.do(ctx, op)
		if !c.load.record(op) {
			return
		}
		c.pause(ctx, op.Outcome)
	}
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

func (c *client) anyKey() string { return c.key(c.rng.IntN(c.load.opts.Keys)) }

func (c *client) value(op *history.Op, n int) string {
	return history.Value(c.load.opts.RunID, c.id, op.ID, n, c.load.opts.ValueSize)
}

func (c *client) put(op *history.Op) {
	op.Then = []history.Request{{Verb: history.Put, Key: c.anyKey(), Value: c.value(op, 0)}}
}

func (c *client) get(op *history.Op) {
	op.Then = []history.Request{{Verb: history.Range, Key: c.anyKey()}}
}

func (c *client) staleGet(op *history.Op) {
	c.get(op)
	op.Then[0].Serializable = true
}

// rangeKeys reads ten keys in a row, half of the time with a limit.
func (c *client) rangeKeys(op *history.Op) {
	from := c.rng.IntN(c.load.opts.Keys)
	r := history.Request{Verb: history.Range, Key: c.key(from), End: c.key(from + 10)}
	if c.rng.IntN(2) == 0 {
		r.Limit = 3
	}
	op.Then = []history.Request{r}
}

func (c *client) staleRange(op *history.Op) {
	c.rangeKeys(op)
	op.Then[0].Serializable = true
}

func (c *client) delete(op *history.Op) {
	op.Then = []history.Request{{Verb: history.Delete, Key: c.anyKey()}}
}

func (c *client) compareSwap(op *history.Op) {
	key := c.anyKey()
	op.Kind = history.KindTxn
	op.Compares = []history.Compare{{Key: key, Target: history.CompareMod, Result: history.Equal, Number: c.seen[key]}}
	op.Then = []history.Request{{Verb: history.Put, Key: key, Value: c.value(op, 0)}, {Verb: history.Range, Key: key}}
	op.Else = []history.Request{{Verb: history.Range, Key: key}}
}

func (c *client) multiPut(op *history.Op) {
	n := c.rng.IntN(c.load.opts.Keys)
	other := c.key((n + 1 + c.rng.IntN(c.load.opts.Keys-1)) % c.load.opts.Keys)
	op.Kind = history.KindTxn
	op.Then = []history.Request{
		{Verb: history.Put, Key: c.key(n), Value: c.value(op, 0)},
		{Verb: history.Put, Key: other, Value: c.value(op, 1)},
		{Verb: history.Range, Key: c.key(n)},
	}
}
