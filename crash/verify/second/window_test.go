package second

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// events are what the first recorder of a run was told: every record of the store.
func events(run *rungen.Run) (out []history.WatchEvent) {
	for _, w := range run.Watches {
		if w.Watch == run.Watches[0].Watch {
			out = append(out, w.Events...)
		}
	}
	return out
}

// baseAt is what a caller knows of a run's store at a revision.
func baseAt(run *rungen.Run, w Window) Base {
	b := Base{Revision: w.From, Prefix: run.Meta.Prefix, Uncertainty: run.Meta.ClockUncertainty}
	live, own := make(map[string]history.KV), make(map[int64]bool)
	for _, e := range events(run) {
		if !strings.HasPrefix(e.KV.Key, b.Prefix) {
			continue
		}
		own[e.KV.ModRevision] = true
		if e.KV.ModRevision > w.From {
			continue
		}
		if live[e.KV.Key] = e.KV; e.Delete {
			delete(live, e.KV.Key)
		}
	}
	for _, kv := range live {
		b.KVs = append(b.KVs, kv)
	}
	for rev := w.From + 1; rev <= w.To+100; rev++ {
		if !own[rev] {
			b.Foreign = append(b.Foreign, rev)
		}
	}
	return b
}

// resolver knows where puts of unknown outcome took place, by their values.
func resolver(run *rungen.Run) Resolve {
	found := make(map[uint64]int64)
	for _, e := range events(run) {
		if name, ok := history.ParseValue(e.KV.Value); ok && name.RunID == run.Meta.ID {
			found[name.Op] = e.KV.ModRevision
		}
	}
	deletes := make(map[uint64]bool)
	for i := range run.Ops {
		o := &run.Ops[i]
		eachRequest([2][]history.Request{o.Then, o.Else}, func(r *history.Request) {
			if r.Verb == history.Delete {
				deletes[o.ID] = true
			}
		})
	}
	return func(id uint64) (int64, bool) { return found[id], found[id] > 0 || !deletes[id] }
}

func revisions(ops []history.Op) (revs []int64) {
	for i := range ops {
		if ops[i].Outcome == history.OK && ops[i].Kind <= history.KindTxn {
			revs = append(revs, ops[i].Revision)
		}
	}
	return revs
}

// TestWindows searches windows of long clean histories, none of which may be
// called not linearizable, and of the same with one answer changed.
func TestWindows(t *testing.T) {
	n := uint64(24)
	if testing.Short() {
		n = 6
	}
	var mu sync.Mutex
	clean, broken := make(map[Answer]int), make(map[Answer]int)
	t.Run("runs", func(t *testing.T) {
		for seed := range n {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				run := rungen.Simulate(rungen.Options{
					Seed: seed, Members: 3, Clients: 3 + int(seed%6), Ops: 400, Keys: 4 + int(seed%9), Rounds: 1, Base: 9, Value: 60,
					Foreign: int(seed % 3), Wide: true, Leases: int(seed % 4), Compact: int(seed % 5 * 3), Restarts: int(seed % 2), Skew: int64(seed%3) * 1_000_000,
				})
				resolve, limits := resolver(run), Limits{Timeout: 3 * time.Second}
				for _, w := range Plan(revisions(run.Ops), 50, 6) {
					base := baseAt(run, w)
					res := w.Search(run.Ops, base, resolve, limits)
					mu.Lock()
					clean[res.Answer]++
					mu.Unlock()
					if res.Answer == NotLinearizable {
						t.Errorf("window %v of seed %d: %+v", w, seed, res)
					}
					if res.Answer != Linearizable {
						continue
					}
					res = w.Search(spoil(run.Ops, w, seed), base, resolve, limits)
					mu.Lock()
					broken[res.Answer]++
					mu.Unlock()
				}
			})
		}
	})
	t.Log("clean", clean, "broken", broken)
	// What is changed may be explained by an operation of unknown outcome.
	if clean[Linearizable] < int(n)*2 || broken[Linearizable] > int(n) || broken[NotLinearizable] < int(n)*2 {
		t.Errorf("clean %v, broken %v", clean, broken)
	}
}

// spoil changes the version that one answer of a window tells of.
func spoil(ops []history.Op, w Window, seed uint64) []history.Op {
	out := append([]history.Op(nil), ops...)
	at := int(seed*31) % len(out)
	for i := range out {
		o := &out[(i+at)%len(out)]
		if o.Outcome == history.OK && o.Kind == history.KindKV && o.Then[0].Verb == history.Range && o.Then[0].Revision == 0 &&
			len(o.Results[0].KVs) > 0 && w.Belongs(o, nil) {
			o.Results = []history.Result{o.Results[0]}
			o.Results[0].KVs = append([]history.KV(nil), o.Results[0].KVs...)
			o.Results[0].KVs[0].Version++
			return out
		}
	}
	for i := range out {
		o := &out[(i+at)%len(out)]
		if o.Outcome == history.OK && o.Kind <= history.KindTxn && owns(o) && w.Belongs(o, nil) && o.Revision > w.From+1 {
			o.Outcome = history.Failed
			return out
		}
	}
	return out
}
