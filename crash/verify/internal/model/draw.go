package model

import (
	"fmt"
	"math/rand/v2"

	"github.com/etcdlab/etcdlab/crash/history"
)

// Drawer makes up puts, ranges, deletes and transactions, with every option that
// a history can hold.
type Drawer struct {
	R      *rand.Rand
	RunID  string
	Prefix string // of all keys
	Keys   int
	Size   int // of values, bytes
	// Nested is how deep transactions go into one another; 0: they do not.
	Nested int
	// Ordered allows compares that ask which of two values is greater.
	Ordered bool
	// Wide allows intervals from a key on to the end of the store.
	Wide bool
	// Odd allows ranges that are sorted by something but in no order: etcd cuts
	// those at their limit before it sorts them.
	Odd bool
	// Revision gives one to read at, 0 for the newest; nil: always the newest.
	Revision func() int64
	// Lease gives one to attach to, 0 for none; nil: always none.
	Lease func() int64
	// Seen gives a mod revision to compare with.
	Seen func(key string) int64
}

// drawing is one operation on its way.
type drawing struct {
	*Drawer
	op   *history.Op
	n    int // of the next value
	puts []string
	dels [][2]string
}

// Key is one of the keys.
func (d *Drawer) Key(n int) string { return fmt.Sprintf("%sk%06d", d.Prefix, n) }

func (d *Drawer) key() string { return d.Key(d.R.IntN(d.Keys)) }

// Draw fills in what an operation with an ID and a client asks.
func (d *Drawer) Draw(op *history.Op) {
	w := &drawing{Drawer: d, op: op}
	if d.R.IntN(10) < 7 {
		op.Kind, op.Then = history.KindKV, []history.Request{w.request(0)}
		return
	}
	op.Kind = history.KindTxn
	b := w.branches(d.Nested)
	op.Compares, op.Then, op.Else = b.Compares, b.Then, b.Else
}

func (w *drawing) branches(depth int) *history.Branches {
	b := &history.Branches{}
	for range w.R.IntN(3) {
		b.Compares = append(b.Compares, w.compare())
	}
	for range 1 + w.R.IntN(3) {
		b.Then = append(b.Then, w.request(depth))
	}
	for range w.R.IntN(3) {
		b.Else = append(b.Else, w.request(depth))
	}
	return b
}

func (w *drawing) request(depth int) history.Request {
	n := w.R.IntN(100)
	switch {
	case depth > 0 && n < 25:
		return history.Request{Verb: history.Txn, Txn: w.branches(depth - 1)}
	case n < 60:
		r := history.Request{Verb: history.Put, Key: w.key(), Prev: w.R.IntN(3) == 0}
		if w.clashes(r.Key, "") {
			break
		}
		w.puts = append(w.puts, r.Key)
		r.Value = history.Value(w.RunID, w.op.Client, w.op.ID, w.n, w.Size)
		w.n++
		if w.Lease != nil {
			r.Lease = w.Lease()
		}
		return r
	case n < 72:
		r := history.Request{Verb: history.Delete, Prev: w.R.IntN(3) == 0}
		r.Key, r.End = w.interval(4, w.R.IntN(2) == 0)
		if w.clashes(r.Key, r.End) {
			break
		}
		w.dels = append(w.dels, [2]string{r.Key, r.End})
		return r
	}
	return w.read()
}

// clashes says whether a write meets another of the same operation: etcd refuses
// some of those pairs, and this all.
func (w *drawing) clashes(key, end string) bool {
	in := func(k, from, to string) bool {
		return k == from || to != "" && k >= from && (to == "\x00" || k < to)
	}
	for _, p := range w.puts {
		if in(p, key, end) {
			return true
		}
	}
	for _, d := range w.dels {
		if end != "" || in(key, d[0], d[1]) {
			return true
		}
	}
	return false
}

func (w *drawing) interval(most int, one bool) (key, end string) {
	n := w.R.IntN(w.Keys)
	if one {
		return w.Key(n), ""
	}
	return w.Key(n), w.Key(n + w.R.IntN(most+1))
}

func (w *drawing) read() history.Request {
	r := history.Request{Verb: history.Range, Serializable: w.R.IntN(4) == 0}
	if r.Key, r.End = w.interval(w.Keys, w.R.IntN(2) == 0); r.End != "" {
		switch w.R.IntN(8) {
		case 0:
			r.Key, r.End = w.Prefix, prefixEnd(w.Prefix)
		case 1:
			if w.Wide {
				r.End = "\x00"
			}
		}
		if w.R.IntN(2) == 0 {
			r.Limit = int64(w.R.IntN(5))
		}
		if w.R.IntN(2) == 0 {
			r.Order, r.Sort = history.Order(w.R.IntN(3)), history.Target(w.R.IntN(5))
		}
		if r.Order == history.Ascend && r.Sort == history.SortKey {
			r.Order = history.NoOrder // the client library says it so
		}
		if r.Order == history.NoOrder && r.Sort != history.SortKey && !w.Odd {
			r.Order = history.Ascend
		}
	}
	r.KeysOnly, r.CountOnly = w.R.IntN(6) == 0, w.R.IntN(6) == 0
	if w.Revision != nil && w.R.IntN(5) == 0 {
		r.Revision = w.Revision()
	}
	return r
}

func prefixEnd(prefix string) string {
	return prefix[:len(prefix)-1] + string(prefix[len(prefix)-1]+1)
}

func (w *drawing) compare() history.Compare {
	c := history.Compare{Target: history.CompareTarget(w.R.IntN(5)), Result: history.CompareResult(w.R.IntN(4))}
	c.Key, c.End = w.interval(5, w.R.IntN(3) > 0)
	switch c.Target {
	case history.CompareValue:
		c.Value = history.Value(w.RunID, w.op.Client, 1+w.R.Uint64N(w.op.ID), 0, w.Size)
		if !w.Ordered && (c.Result == history.Greater || c.Result == history.Less) {
			c.Result = history.NotEqual
		}
	case history.CompareVersion:
		c.Number = w.R.Int64N(4)
	case history.CompareLease:
		if w.Lease != nil {
			c.Number = w.Lease()
		}
	default:
		if w.R.IntN(4) > 0 && w.Seen != nil {
			c.Number = w.Seen(c.Key)
		}
	}
	return c
}
