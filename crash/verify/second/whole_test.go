package second

import (
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

// book writes small histories by hand: times are in the order of the test.
type book struct {
	ops []history.Op
}

func (b *book) op(invoke, ret int64, o history.Op) *history.Op {
	o.ID, o.Invoke, o.Return = uint64(len(b.ops)+1), invoke, ret
	b.ops = append(b.ops, o)
	return &b.ops[len(b.ops)-1]
}

func (b *book) put(invoke, ret, rev int64, key, value string) *history.Op {
	outcome, results := history.OK, []history.Result{{}}
	if rev == 0 {
		outcome, results = history.Unknown, nil
	}
	return b.op(invoke, ret, history.Op{
		Outcome: outcome, Revision: rev, Then: []history.Request{{Verb: history.Put, Key: key, Value: value}}, Results: results,
	})
}

func (b *book) get(invoke, ret, rev int64, key, value string, mod int64) *history.Op {
	res := history.Result{}
	if value != "" {
		res = history.Result{Count: 1, KVs: []history.KV{{Key: key, Value: value, CreateRevision: mod, ModRevision: mod, Version: 1}}}
	}
	return b.op(invoke, ret, history.Op{
		Outcome: history.OK, Revision: rev, Then: []history.Request{{Verb: history.Range, Key: key}}, Results: []history.Result{res},
	})
}

func TestWhole(t *testing.T) {
	for name, c := range map[string]struct {
		write func(b *book)
		base  Base
		want  Answer
	}{
		"in order": {func(b *book) {
			b.put(1, 2, 2, "a", "x")
			b.get(3, 4, 2, "a", "x", 2)
		}, Base{}, Linearizable},
		"stale": {func(b *book) {
			b.put(1, 2, 2, "a", "x")
			b.put(3, 4, 3, "b", "y")
			b.get(5, 6, 2, "a", "x", 2)
		}, Base{}, NotLinearizable},
		"stale and serializable": {func(b *book) {
			b.put(1, 2, 2, "a", "x")
			b.put(3, 4, 3, "b", "y")
			b.get(5, 6, 2, "a", "x", 2).Then[0].Serializable = true
		}, Base{}, Linearizable},
		"stale within the clocks' uncertainty": {func(b *book) {
			b.put(1, 2, 2, "a", "x")
			b.put(3, 4, 3, "b", "y")
			b.get(5, 6, 2, "a", "x", 2)
		}, Base{Uncertainty: 2}, Linearizable},
		"unknown that took place": {func(b *book) {
			b.put(1, 2, 0, "a", "x")
			b.get(3, 4, 2, "a", "x", 2)
		}, Base{}, Linearizable},
		"unknown that did not": {func(b *book) {
			b.put(1, 2, 0, "a", "x")
			b.put(3, 4, 2, "b", "y")
		}, Base{}, Linearizable},
		"a revision nobody wrote": {func(b *book) {
			b.put(1, 2, 2, "a", "x")
			b.put(3, 4, 4, "b", "y")
		}, Base{}, NotLinearizable},
		"a revision that others wrote": {func(b *book) {
			b.put(1, 2, 2, "a", "x")
			b.get(3, 4, 3, "a", "x", 2)
			b.put(3, 4, 5, "a2", "y")
		}, Base{Prefix: "a", Foreign: []int64{3, 4}}, Linearizable},
		"back before what others wrote": {func(b *book) {
			b.put(1, 2, 2, "a", "x")
			b.get(3, 4, 3, "a", "x", 2)
			b.get(5, 6, 2, "a", "x", 2)
		}, Base{Prefix: "a", Foreign: []int64{3, 4}}, NotLinearizable},
		"a lease that ended unseen": {func(b *book) {
			b.op(1, 2, history.Op{Kind: history.KindLeaseGrant, Outcome: history.OK, Revision: 1, Call: &history.Call{Lease: 7, TTL: 5}})
			b.put(3, 4, 2, "a", "x").Then[0].Lease = 7
			b.get(5, 6, 3, "a", "", 0)
		}, Base{}, Linearizable},
		"a lease that was never granted": {func(b *book) {
			b.put(3, 4, 2, "a", "x").Then[0].Lease = 7
		}, Base{}, NotLinearizable},
		"an older revision": {func(b *book) {
			b.put(1, 2, 2, "a", "x")
			b.put(3, 4, 3, "b", "y")
			b.get(5, 6, 3, "a", "x", 2).Then[0].Revision = 2
		}, Base{}, Linearizable},
		"an older revision that was compacted": {func(b *book) {
			b.put(1, 2, 2, "a", "x")
			b.put(3, 4, 3, "b", "y")
			b.op(5, 6, history.Op{Kind: history.KindCompact, Outcome: history.OK, Revision: 3, Call: &history.Call{Revision: 3}})
			b.get(7, 8, 3, "a", "x", 2).Then[0].Revision = 2
		}, Base{}, NotLinearizable},
		"a read of the revision before the base": {func(b *book) {
			b.get(7, 8, 9, "a", "x", 2).Then[0].Revision = 2
		}, Base{Revision: 9}, Linearizable},
		"refused": {func(b *book) {
			b.put(1, 2, 2, "a", "x").Outcome = history.Failed
			b.get(3, 4, 2, "a", "x", 2)
		}, Base{}, NotLinearizable},
		"lock": {func(b *book) {
			b.op(1, 2, history.Op{Kind: history.KindLock, Outcome: history.OK, Call: &history.Call{}})
		}, Base{}, Unaffordable},
	} {
		t.Run(name, func(t *testing.T) {
			var b book
			c.write(&b)
			if c.base.Revision == 0 {
				c.base.Revision = 1
			}
			if got := Whole(b.ops, c.base, time.Minute); got.Answer != c.want {
				t.Errorf("%+v", got)
			}
		})
	}
}
