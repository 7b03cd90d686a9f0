package verify

import (
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// mutant breaks a clean run, by hand-made operations after its end or by
// changing what is there.
type mutant struct {
	*rungen.Run
	t   *testing.T
	now int64
}

func newMutant(t *testing.T, seed uint64) *mutant {
	r := rungen.Simulate(rungen.Options{Seed: seed, Ops: 300, Base: 10, Foreign: 3})
	m := &mutant{Run: r, t: t}
	for _, o := range r.Ops {
		m.now = max(m.now, o.Return, o.Invoke)
	}
	return m
}

func (m *mutant) head() int64 { return m.Final.Members[0].Revision }

func (m *mutant) key(name string) string { return m.Meta.Prefix + name }

// op adds an operation of client 0 that runs after all others.
func (m *mutant) op(outcome history.Outcome, rev int64, reqs ...history.Request) *history.Op {
	id := uint64(0)
	for _, o := range m.Ops {
		id = max(id, o.ID)
	}
	m.now += 1_000_000
	op := history.Op{ID: id + 1, Invoke: m.now, Return: m.now + 500_000, Outcome: outcome, Then: reqs}
	m.now = op.Return
	for i := range op.Then {
		if op.Then[i].Verb == history.Put {
			op.Then[i].Value = history.Value(m.Meta.ID, 0, op.ID, i, 80)
		}
	}
	if outcome == history.OK {
		op.Revision, op.Results = rev, make([]history.Result, len(reqs))
	}
	m.Ops = append(m.Ops, op)
	return &m.Ops[len(m.Ops)-1]
}

func (m *mutant) put(outcome history.Outcome, rev int64, key string) *history.Op {
	return m.op(outcome, rev, history.Request{Verb: history.Put, Key: m.key(key)})
}

// get adds a read with the true answer at a revision.
func (m *mutant) get(rev int64, key string) *history.Op {
	op := m.op(history.OK, rev, history.Request{Verb: history.Range, Key: key})
	if kv, ok := m.at(key, rev); ok {
		op.Results[0] = history.Result{KVs: []history.KV{kv}, Count: 1}
	}
	return op
}

func (m *mutant) at(key string, rev int64) (kv history.KV, ok bool) {
	for _, r := range m.Members[0].Records {
		if r.KV.Key == key && r.Main <= rev {
			kv, ok = r.KV, !r.Tombstone
		}
	}
	return kv, ok
}

// store appends records to all members, or to one.
func (m *mutant) store(member string, recs ...rungen.Record) {
	m.Edit(member, func(old []rungen.Record) []rungen.Record { return append(old, recs...) })
}

func record(rev, sub int64, r history.Request) rungen.Record {
	return rungen.Record{Main: rev, Sub: sub, KV: history.KV{
		Key: r.Key, Value: r.Value, CreateRevision: rev, ModRevision: rev, Version: 1,
	}}
}

// drop removes all records of a revision.
func (m *mutant) drop(member string, rev int64) {
	m.Edit(member, func(recs []rungen.Record) []rungen.Record {
		return slices.DeleteFunc(recs, func(r rungen.Record) bool { return r.Main == rev })
	})
}

// change edits the records of a revision.
func (m *mutant) change(member string, rev int64, f func(*rungen.Record)) {
	m.Edit(member, func(recs []rungen.Record) []rungen.Record {
		for i := range recs {
			if recs[i].Main == rev {
				f(&recs[i])
			}
		}
		return recs
	})
}

// find gives an acknowledged operation from the middle of the run.
func (m *mutant) find(what string, want func(*history.Op) bool) *history.Op {
	m.t.Helper()
	for i := len(m.Ops) / 3; i < len(m.Ops); i++ {
		if o := &m.Ops[i]; o.Outcome == history.OK && want(o) {
			return o
		}
	}
	m.t.Fatalf("the run has no %s", what)
	return nil
}

func (m *mutant) aPut() *history.Op {
	return m.find("put", func(o *history.Op) bool { return o.Kind == history.KindKV && o.Then[0].Verb == history.Put })
}

func (m *mutant) aDelete() *history.Op {
	return m.find("delete", func(o *history.Op) bool {
		return o.Kind == history.KindKV && o.Then[0].Verb == history.Delete && o.Results[0].Deleted > 0
	})
}

func (m *mutant) aGet() *history.Op {
	return m.find("get", func(o *history.Op) bool {
		return o.Kind == history.KindKV && o.Then[0].Verb == history.Range && len(o.Results[0].KVs) == 1
	})
}

func (m *mutant) aTwoPuts() *history.Op {
	return m.find("transaction of two puts", func(o *history.Op) bool {
		return o.Kind == history.KindTxn && len(o.Compares) == 0
	})
}

// want is what the verdict on a mutant must say.
type want struct {
	check  string
	result Result
	op     uint64
	rev    int64
	member string
	text   string
	// only says that no other check may fail: the finding is not blamed on
	// what is in order.
	only bool
}

func (w *want) test(t *testing.T, v *Verdict) {
	t.Helper()
	c := check(v, w.check)
	if w.result == "" {
		w.result = Fail
	}
	if c.Verdict != w.result {
		t.Fatalf("%s is %q, want %q\n%s", w.check, c.Verdict, w.result, show(v))
	}
	if w.only || w.result != Fail {
		for _, o := range v.Checks {
			if o.Name != w.check && o.Verdict == Fail {
				t.Errorf("%s fails too\n%s", o.Name, show(v))
			}
		}
	}
	if w.result != Fail {
		if !strings.Contains(c.Detail, w.text) {
			t.Errorf("the detail does not say %q\n%s", w.text, show(v))
		}
		if v.Verdict == Pass {
			t.Errorf("the run passes\n%s", show(v))
		}
		return
	}
	if v.Verdict != Fail || c.Total == 0 || len(c.Evidence) > maxEvidence {
		t.Errorf("verdict %s, %d of %d\n%s", v.Verdict, len(c.Evidence), c.Total, show(v))
	}
	for _, e := range c.Evidence {
		if (w.op == 0 || e.Operation == w.op) && (w.rev == 0 || e.Revision == w.rev) &&
			(w.member == "" || e.Member == w.member) && strings.Contains(e.Message, w.text) {
			return
		}
	}
	t.Errorf("no evidence with operation %d, revision %d, member %q, text %q\n%s", w.op, w.rev, w.member, w.text, show(v))
}
