package verify

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
	opinion "github.com/etcdlab/etcdlab/crash/verify/second"
)

// breaks change an answer, or what became of an operation. They give false if
// the operation has nothing that they change.
var breaks = map[string]func(r *rand.Rand, run *rungen.Run, o *history.Op) bool{
	"value":   changeKV(func(r *rand.Rand, kv *history.KV) { kv.Value += "!" }),
	"mod":     changeKV(func(r *rand.Rand, kv *history.KV) { kv.ModRevision += 1 - 2*r.Int64N(2) }),
	"create":  changeKV(func(r *rand.Rand, kv *history.KV) { kv.CreateRevision += 1 - 2*r.Int64N(2) }),
	"version": changeKV(func(r *rand.Rand, kv *history.KV) { kv.Version += 1 - 2*r.Int64N(2) }),
	"key":     changeKV(func(r *rand.Rand, kv *history.KV) { kv.Key += "0" }),
	"count":   changeResult(func(r *rand.Rand, res *history.Result) bool { res.Count += 1; return res.Count > 1 }),
	"more":    changeResult(func(r *rand.Rand, res *history.Result) bool { res.More = !res.More; return res.Count > 0 }),
	"deleted": changeResult(func(r *rand.Rand, res *history.Result) bool { res.Deleted++; return res.Deleted > 1 }),
	"revision": func(r *rand.Rand, _ *rungen.Run, o *history.Op) bool {
		o.Revision += 1 - 2*r.Int64N(2)
		return o.Revision > 0
	},
	"one missing": changeResult(func(r *rand.Rand, res *history.Result) bool {
		if len(res.KVs) == 0 || res.Count == 0 {
			return false
		}
		i := r.IntN(len(res.KVs))
		res.KVs, res.Count = slices.Delete(slices.Clone(res.KVs), i, i+1), res.Count-1
		return true
	}),
	"refused, it says": func(_ *rand.Rand, _ *rungen.Run, o *history.Op) bool {
		if o.Then[0].Verb == history.Range {
			return false
		}
		o.Outcome, o.Error, o.Revision, o.Results, o.Succeeded = history.Failed, "etcdserver: too many requests", 0, nil, false
		return true
	},
	"asked later": func(r *rand.Rand, run *rungen.Run, o *history.Op) bool {
		later := run.Ops[len(run.Ops)-1-r.IntN(4)].Return + 1
		o.Return += max(0, later-o.Invoke)
		o.Invoke = max(o.Invoke, later)
		return true
	},
	"swapped": func(r *rand.Rand, run *rungen.Run, o *history.Op) bool {
		for i := range run.Ops {
			x := &run.Ops[i]
			if x != o && x.Outcome == history.OK && x.Kind == history.KindKV && o.Kind == history.KindKV && x.Then[0].Verb == history.Range &&
				o.Then[0].Verb == history.Range && x.Then[0].Key == o.Then[0].Key && x.Then[0].End == o.Then[0].End && x.Revision != o.Revision {
				x.Results, o.Results, x.Revision, o.Revision = o.Results, x.Results, o.Revision, x.Revision
				return true
			}
		}
		return false
	},
}

func changeKV(change func(*rand.Rand, *history.KV)) func(*rand.Rand, *rungen.Run, *history.Op) bool {
	return changeResult(func(r *rand.Rand, res *history.Result) bool {
		if len(res.KVs) == 0 {
			return false
		}
		res.KVs = slices.Clone(res.KVs)
		change(r, &res.KVs[r.IntN(len(res.KVs))])
		return true
	})
}

func changeResult(change func(*rand.Rand, *history.Result) bool) func(*rand.Rand, *rungen.Run, *history.Op) bool {
	return func(r *rand.Rand, _ *rungen.Run, o *history.Op) bool {
		if len(o.Results) == 0 {
			return false
		}
		o.Results = slices.Clone(o.Results)
		return change(r, &o.Results[r.IntN(len(o.Results))])
	}
}

// breakOne draws what to change until it is there.
func breakOne(r *rand.Rand, run *rungen.Run) (string, *history.Op) {
	var names []string
	for name := range breaks {
		names = append(names, name)
	}
	slices.Sort(names)
	for range 1000 {
		name, i := names[r.IntN(len(names))], r.IntN(len(run.Ops))
		o := run.Ops[i]
		if o.Outcome == history.OK && o.Kind <= history.KindTxn && breaks[name](r, run, &o) {
			run.Ops[i] = o
			return name, &run.Ops[i]
		}
	}
	return "", nil
}

// known are the records of the store, also of those that a compaction removed.
func known(run *rungen.Run) (recs []rungen.Record) {
	if run.Members[0].Finished == 0 {
		return run.Members[0].Records
	}
	for _, w := range run.Watches { // the first is a recorder, which all of it is told
		for _, e := range w.Events {
			if w.Watch == run.Watches[0].Watch {
				recs = append(recs, rungen.Record{Main: e.KV.ModRevision, Tombstone: e.Delete, KV: e.KV})
			}
		}
	}
	return recs
}

// witness gives Porcupine what the judge has beside the history: the members'
// store, as a read of every revision after all else.
func witness(run *rungen.Run) (ops []history.Op, base opinion.Base) {
	base = opinion.Base{Revision: run.Meta.Base.Revision, Prefix: run.Meta.Prefix, Uncertainty: run.Meta.ClockUncertainty}
	op := history.Op{ID: 1 << 40, Kind: history.KindTxn, Outcome: history.OK, Succeeded: true, Revision: run.Final.Members[0].Revision}
	live := make(map[string]history.KV)
	recs := known(run)
	for rev := base.Revision + 1; rev <= op.Revision; rev++ {
		own := false
		for ; len(recs) > 0 && recs[0].Main <= rev; recs = recs[1:] {
			if kv := recs[0].KV; strings.HasPrefix(kv.Key, base.Prefix) {
				own = own || recs[0].Main == rev
				live[kv.Key] = kv
				if recs[0].Tombstone {
					delete(live, kv.Key)
				}
			}
		}
		if !own {
			base.Foreign = append(base.Foreign, rev)
		}
		if rev < run.Members[0].Finished {
			continue
		}
		var res history.Result
		for _, kv := range live {
			res.KVs = append(res.KVs, kv)
		}
		slices.SortFunc(res.KVs, func(a, b history.KV) int { return strings.Compare(a.Key, b.Key) })
		res.Count = int64(len(res.KVs))
		op.Then = append(op.Then, history.Request{Verb: history.Range, Key: base.Prefix, End: prefixEnd(base.Prefix), Revision: rev})
		op.Results = append(op.Results, res)
	}
	for i := range run.Ops {
		op.Invoke = max(op.Invoke, run.Ops[i].Return+1+run.Meta.ClockUncertainty)
	}
	op.Return = op.Invoke + 1
	return append(slices.Clone(run.Ops), op), base
}

// storeVerdict is the judge's answer to what Porcupine is asked.
func storeVerdict(v *Verdict) Result {
	worst := Pass
	for _, name := range []string{checkDurability, checkOrder, checkReads, checkTransactions, checkCompaction} {
		switch r := check(v, name).Verdict; {
		case r == Fail:
			return Fail
		case r == Error || r == Inconclusive && worst == Pass:
			worst = r
		}
	}
	return worst
}

// onlyFell says whether all that is wrong is that a member's own revision fell:
// serializable reads may be stale, so that no linearization is against it.
func onlyFell(v *Verdict) bool {
	for _, c := range v.Checks {
		if c.Verdict == Fail && c.Name != checkCompaction {
			return false
		}
	}
	return !slices.ContainsFunc(check(v, checkCompaction).Evidence, func(e Evidence) bool { return !strings.Contains(e.Message, " fell: ") })
}

// TestAgreement asks the judge and Porcupine about the same small histories,
// half of them broken. Both see the history and the store.
func TestAgreement(t *testing.T) {
	n := uint64(1200)
	if testing.Short() {
		n = 150
	}
	var mu sync.Mutex
	counts := make(map[string]int)
	t.Run("histories", func(t *testing.T) {
		for part := range uint64(8) {
			t.Run(fmt.Sprint(part), func(t *testing.T) {
				t.Parallel()
				for seed := part; seed < n; seed += 8 {
					what := agree(t, seed)
					mu.Lock()
					counts[what]++
					mu.Unlock()
				}
			})
		}
	})
	t.Log(counts)
	asked := counts["linearizable pass"] + counts["not linearizable fail"]
	if uint64(asked) < n*95/100 || counts["not linearizable fail"] < int(n)*2/5 || counts["linearizable pass"] < int(n)*2/5 {
		t.Errorf("of %d histories too few were answered by both: %v", n, counts)
	}
}

func agree(t *testing.T, seed uint64) string {
	o := rungen.Options{
		Seed: seed, Members: 1, Clients: 2 + int(seed%4), Ops: 10 + int(seed%16), Keys: 2 + int(seed%4), Value: 60, Rounds: -1,
		Base: int(seed / 16 % 2 * 5), Foreign: int(seed % 3 * 4), Wide: seed%5 > 0,
	}
	broken := seed%16 < 9 // some of what is changed makes no difference
	if seed%12 == 5 {
		o.Rounds, o.Clients = 1, 2 // more operations of unknown outcome are beyond Porcupine
	}
	if !broken && seed%6 == 0 {
		o.Compact = 60
	}
	if seed%7 == 0 {
		o.Leases = 10
	}
	run := rungen.Simulate(o)
	name := "nothing"
	if broken {
		name, _ = breakOne(rand.New(rand.NewPCG(seed, 7)), run)
	}
	ops, base := witness(run)
	other := opinion.Whole(ops, base, 3*time.Second)
	v := judge(t, write(t, run), nil)
	ours := storeVerdict(v)
	switch {
	case ours == Pass && other.Answer == opinion.Linearizable, ours == Fail && other.Answer == opinion.NotLinearizable:
	case ours == Fail && other.Answer == opinion.Linearizable && onlyFell(v):
		return "only the judge sees a member fall back"
	case ours == Pass || ours == Fail:
		if other.Answer != opinion.Unaffordable {
			t.Errorf("seed %d, %q changed: the judge says %s, Porcupine %+v\n%s", seed, name, ours, other, show(v))
		}
	}
	return fmt.Sprint(other.Answer, " ", ours)
}
