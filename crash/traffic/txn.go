package traffic

import "github.com/etcdlab/etcdlab/crash/history"

// None but txn-old reads at an older revision beside a write: etcd before
// v3.7.0 applies that on some members only (etcd issue #18667), and one known
// bug must not end every run of those versions.
var transactions = []Operation{
	{"compare-swap", "if the key is as last seen, put and get it; else get it", kvStep(compareSwap)},
	{"multi-put", "two puts and a get, unconditional", kvStep(multiPut)},
	{"txn", "random compares, puts, gets and deletes in both branches", kvStep(txn)},
	{"txn-nested", "transactions in a transaction, two deep", kvStep(txnNested)},
	{"txn-read", "reads alone, some at older revisions", kvStep(txnRead)},
	{"txn-old", "a put and a read at an older revision, half of the time a compacted one", kvStep(txnOld)},
	{"replace", "a delete of some keys and a put of others in one", kvStep(replace)},
}

func compareSwap(c *client, op *history.Op) {
	key := c.anyKey()
	op.Kind = history.KindTxn
	op.Compares = []history.Compare{{Key: key, Target: history.CompareMod, Result: history.Equal, Number: c.seen[key]}}
	op.Then = []history.Request{{Verb: history.Put, Key: key}, {Verb: history.Range, Key: key}}
	op.Else = []history.Request{{Verb: history.Range, Key: key}}
}

func multiPut(c *client, op *history.Op) {
	all := c.load.opts.Profile.Keys
	n := c.rng.IntN(all)
	other := c.key((n + 1 + c.rng.IntN(all-1)) % all)
	op.Kind = history.KindTxn
	op.Then = []history.Request{
		{Verb: history.Put, Key: c.key(n)},
		{Verb: history.Put, Key: other},
		{Verb: history.Range, Key: c.key(n)},
	}
}

// compare is one that holds about as often as not.
func (c *client) compare(key string) history.Compare {
	cmp := history.Compare{
		Key:    key,
		Target: history.CompareTarget(c.rng.IntN(5)),
		Result: history.CompareResult(c.rng.IntN(4)),
	}
	switch cmp.Target {
	case history.CompareValue:
		// Values begin with the run's name: order among them is by the client.
		cmp.Value = history.Value(c.load.opts.RunID, c.id, c.load.nextID.Load(), 0, 0)
	case history.CompareVersion:
		cmp.Number = int64(c.rng.IntN(4))
	case history.CompareLease:
		if lease, ok := c.load.leases.any(c.rng); ok && c.rng.IntN(2) == 0 {
			cmp.Number = lease
		}
	default:
		cmp.Number = c.seen[key]
		if c.rng.IntN(4) == 0 {
			cmp.Number = c.load.newest.older(c.rng)
		}
	}
	if c.rng.IntN(5) == 0 {
		cmp.End = key + "\x00"
		if c.rng.IntN(2) == 0 {
			i := c.interval(3)
			cmp.Key, cmp.End = i.Key, i.End
		}
	}
	return cmp
}

func (c *client) compares(key string) []history.Compare {
	cmps := []history.Compare{c.compare(key)}
	if c.rng.IntN(3) == 0 {
		cmps = append(cmps, c.compare(c.anyKey()))
	}
	return cmps
}

// some are requests on keys that are not written twice: etcd refuses a
// transaction that might.
func (c *client) some(keys []string) []history.Request {
	var rs []history.Request
	for _, k := range keys {
		switch c.rng.IntN(6) {
		case 0, 1:
			rs = append(rs, history.Request{Verb: history.Put, Key: k, Prev: c.rng.IntN(4) == 0})
		case 2:
			rs = append(rs, history.Request{Verb: history.Delete, Key: k, Prev: c.rng.IntN(2) == 0})
		case 3:
			r := c.interval(5)
			r.Limit = int64(c.rng.IntN(3))
			rs = append(rs, r)
		default:
			// A read of what the same transaction wrote before it.
			rs = append(rs, history.Request{Verb: history.Put, Key: k}, history.Request{Verb: history.Range, Key: k})
		}
	}
	return rs
}

func txn(c *client, op *history.Op) {
	op.Kind = history.KindTxn
	op.Compares = c.compares(c.anyKey())
	op.Then = c.some(c.keys(1 + c.rng.IntN(3)))
	op.Else = c.some(c.keys(c.rng.IntN(3)))
	if lease, ok := c.load.leases.any(c.rng); ok && c.rng.IntN(8) == 0 && op.Then[0].Verb == history.Put {
		op.Then[0].Lease = lease
	}
}

func (c *client) nested(keys []string, deeper bool) history.Request {
	b := &history.Branches{Compares: c.compares(keys[0])}
	b.Then = c.some(keys[:1])
	if len(keys) > 1 {
		if deeper {
			b.Else = []history.Request{c.nested(keys[1:], false)}
		} else {
			b.Else = c.some(keys[1:2])
		}
	}
	return history.Request{Verb: history.Txn, Txn: b}
}

func txnNested(c *client, op *history.Op) {
	keys := c.keys(5)
	op.Kind = history.KindTxn
	op.Compares = c.compares(c.anyKey())
	op.Then = append(c.some(keys[:1]), c.nested(keys[1:], true))
	op.Then = append(op.Then, history.Request{Verb: history.Range, Key: keys[0]})
	op.Else = []history.Request{{Verb: history.Range, Key: keys[0]}, c.nested(keys[1:], false)}
}

func txnRead(c *client, op *history.Op) {
	op.Kind = history.KindTxn
	op.Compares = c.compares(c.anyKey())
	rev := int64(0)
	if c.rng.IntN(2) == 0 {
		rev = c.load.newest.older(c.rng)
	}
	stale := c.rng.IntN(2) == 0
	for _, k := range c.keys(2) {
		op.Then = append(op.Then, history.Request{Verb: history.Range, Key: k, Revision: rev, Serializable: stale})
	}
	r := c.interval(5)
	r.Serializable = stale
	op.Then = append(op.Then, r)
	op.Else = []history.Request{r}
}

func txnOld(c *client, op *history.Op) {
	keys := c.keys(2)
	rev := c.load.newest.older(c.rng)
	if compacted := c.load.newest.compacted.Load(); compacted > 2 && c.rng.IntN(2) == 0 {
		rev = compacted - 1 + int64(c.rng.IntN(2))
	}
	op.Kind = history.KindTxn
	op.Then = []history.Request{
		{Verb: history.Range, Key: keys[0], Revision: rev},
		{Verb: history.Put, Key: keys[len(keys)-1]},
	}
}

func replace(c *client, op *history.Op) {
	all := c.load.opts.Profile.Keys
	from := c.rng.IntN(all)
	n := 1 + c.rng.IntN(min(3, max(1, all-1)))
	op.Kind = history.KindTxn
	op.Then = []history.Request{
		{Verb: history.Delete, Key: c.key(from), End: c.key(from + n), Prev: c.rng.IntN(2) == 0},
	}
	// Not within the interval, and 0 is below it whenever it wraps.
	if at := (from + n) % all; at < from || at >= from+n {
		op.Then = append(op.Then, history.Request{Verb: history.Put, Key: c.key(at)})
	}
	op.Then = append(op.Then, c.interval(5))
}
