package traffic

import (
	"context"

	"github.com/etcdlab/etcdlab/crash/history"
)

var writes = []Operation{
	{"put", "a key, its value's size drawn from Sizes", kvStep(put)},
	{"put-prev", "a key, answered with what was there before", kvStep(func(c *client, op *history.Op) { put(c, op); op.Then[0].Prev = true })},
	{"put-lease", "a key attached to a lease that is alive or has just died", putLease},
	{"delete", "a key", kvStep(del)},
	{"delete-prev", "a key, answered with what was there", kvStep(func(c *client, op *history.Op) { del(c, op); op.Then[0].Prev = true })},
	{"delete-range", "up to four keys in a row, half of the time answered with what was there", kvStep(deleteRange)},
}

var reads = []Operation{
	{"get", "a key, linearizable", kvStep(get)},
	{"stale-get", "a key as the asked member has it (serializable)", kvStep(stale(get))},
	{"old-get", "a key at an older revision, sometimes a compacted or a future one", kvStep(old(get))},
	{"range", "ten keys in a row, half of the time with a limit", kvStep(rangeKeys)},
	{"stale-range", "the same, serializable", kvStep(stale(rangeKeys))},
	{"old-range", "the same, at an older revision", kvStep(old(rangeKeys))},
	{"prefix", "all keys, with a limit", kvStep(prefix)},
	{"keys-only", "twenty keys in a row, without their values", kvStep(keysOnly)},
	{"count-only", "how many keys there are in an interval or in all", kvStep(countOnly)},
	{"sorted", "twenty keys in a row by any target, ascending or descending, with or without a limit", kvStep(sorted)},
}

// build fills in what an operation asks.
type build func(*client, *history.Op)

func kvStep(fill build) step {
	return func(c *client, ctx context.Context) bool {
		return c.kv(ctx, func(op *history.Op) { fill(c, op) })
	}
}

func stale(fill build) build {
	return func(c *client, op *history.Op) {
		fill(c, op)
		op.Then[0].Serializable = true
	}
}

// old reads at an older revision, of the member's own half of the time.
func old(fill build) build {
	return func(c *client, op *history.Op) {
		fill(c, op)
		op.Then[0].Revision = c.load.newest.older(c.rng)
		op.Then[0].Serializable = c.rng.IntN(2) == 0
	}
}

func put(c *client, op *history.Op) {
	op.Then = []history.Request{{Verb: history.Put, Key: c.anyKey()}}
}

// putLease attaches a key to a lease, and sometimes takes it off again: a put
// without a lease does.
func putLease(c *client, ctx context.Context) bool {
	lease, ok := c.load.leases.any(c.rng)
	if !ok {
		if !c.grant(ctx) {
			return false
		}
		if lease, ok = c.load.leases.any(c.rng); !ok {
			return true
		}
	}
	return c.kv(ctx, func(op *history.Op) {
		put(c, op)
		op.Then[0].Lease = lease
		op.Then[0].Prev = c.rng.IntN(4) == 0
	})
}

func get(c *client, op *history.Op) {
	op.Then = []history.Request{{Verb: history.Range, Key: c.anyKey()}}
}

func del(c *client, op *history.Op) {
	op.Then = []history.Request{{Verb: history.Delete, Key: c.anyKey()}}
}

func deleteRange(c *client, op *history.Op) {
	from := c.rng.IntN(c.load.opts.Profile.Keys)
	op.Then = []history.Request{{
		Verb: history.Delete, Key: c.key(from), End: c.key(from + 1 + c.rng.IntN(4)), Prev: c.rng.IntN(2) == 0,
	}}
}

// interval is n keys in a row.
func (c *client) interval(n int) history.Request {
	from := c.rng.IntN(c.load.opts.Profile.Keys)
	return history.Request{Verb: history.Range, Key: c.key(from), End: c.key(from + n)}
}

func rangeKeys(c *client, op *history.Op) {
	r := c.interval(10)
	if c.rng.IntN(2) == 0 {
		r.Limit = 3
	}
	op.Then = []history.Request{r}
}

func prefix(c *client, op *history.Op) {
	op.Then = []history.Request{{
		Verb: history.Range, Key: c.load.opts.Prefix, End: prefixEnd(c.load.opts.Prefix), Limit: int64(10 + c.rng.IntN(90)),
	}}
}

func keysOnly(c *client, op *history.Op) {
	r := c.interval(20)
	r.KeysOnly = true
	op.Then = []history.Request{r}
}

func countOnly(c *client, op *history.Op) {
	r := c.interval(50)
	if c.rng.IntN(2) == 0 {
		r.Key, r.End = c.load.opts.Prefix, prefixEnd(c.load.opts.Prefix)
	}
	r.CountOnly = true
	op.Then = []history.Request{r}
}

var sortTargets = []history.Target{history.SortKey, history.SortVersion, history.SortCreate, history.SortMod, history.SortValue}

func sorted(c *client, op *history.Op) {
	r := c.interval(20)
	r.Sort = sortTargets[c.rng.IntN(len(sortTargets))]
	r.Order = []history.Order{history.Ascend, history.Descend}[c.rng.IntN(2)]
	if c.rng.IntN(2) == 0 {
		r.Limit = 5
	}
	op.Then = []history.Request{r}
}

// prefixEnd is the end of the interval of all keys that begin with p, which has
// a byte below 0xff.
func prefixEnd(p string) string {
	b := []byte(p)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return string(b[:i+1])
		}
	}
	return "\x00"
}
