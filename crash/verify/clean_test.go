package verify

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// cleanOptions are those of a run with everything that the generator knows:
// time-outs that were applied at once, later and never, refusals, power loss,
// restarts of single members, compactions, leases that end, nested transactions,
// every option of ranges, watches of all kinds, clocks that differ.
func cleanOptions(seed uint64) rungen.Options {
	return rungen.Options{
		Seed: seed, Members: 1 + int(seed%2)*2, Clients: 2 + int(seed%7), Ops: 150 + int(seed%4)*70, Keys: 4 + int(seed%5)*5,
		Rounds: 1 + int(seed%2), Base: int(seed%3) * 12, Foreign: int(seed % 5 / 3 * 2), Wide: true,
		Leases: int(seed%4) * 6, Compact: int(seed%3) * 12, Watches: int(seed % 5), Restarts: int(seed%3) * 2,
		Skew: int64(seed%4) * 1_500_000, Odd: true,
	}
}

// TestCleanWide judges generated runs in which nothing went wrong. A generator
// that had stopped to make what is to be judged would pass too, so that is
// counted.
func TestCleanWide(t *testing.T) {
	n := uint64(220)
	if testing.Short() {
		n = 20
	}
	var mu sync.Mutex
	seen := make(map[string]int)
	t.Run("runs", func(t *testing.T) {
		for seed := range n {
			o := cleanOptions(seed)
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				r := rungen.Simulate(o)
				v := judge(t, write(t, r), nil)
				if v.Verdict != Pass {
					t.Fatalf("%+v: %s", o, show(v))
				}
				mu.Lock()
				defer mu.Unlock()
				tally(seen, r)
				for _, c := range v.Checks {
					seen["check "+c.Name]++
				}
			})
		}
	})
	t.Log(seen)
	for _, what := range []string{
		"unknown", "refused: compacted", "refused: lease", "nested", "historical", "sorted", "keys only", "interval compared",
		"put with lease", "lease ended by itself", "compaction", "watch canceled", "watch resumed", "bookmark", "previous value",
		"member restarted", "clocks differ", "foreign write", "power loss",
		"check " + checkDurability, "check " + checkOrder, "check " + checkReads, "check " + checkTransactions, "check " + checkCompaction,
	} {
		if seen[what] == 0 && !testing.Short() {
			t.Errorf("no %s in %d runs: %v", what, n, seen)
		}
	}
}

// tally counts what a run has of each kind.
func tally(seen map[string]int, r *rungen.Run) {
	when := func(is bool, what string) {
		if is {
			seen[what]++
		}
	}
	revoked := 0
	var requests func(reqs []history.Request)
	requests = func(reqs []history.Request) {
		for i := range reqs {
			q := &reqs[i]
			if q.Verb == history.Txn {
				seen["nested"]++
				requests(q.Txn.Then)
				requests(q.Txn.Else)
			}
			when(q.Revision > 0, "historical")
			when(q.Sort != history.SortKey, "sorted")
			when(q.KeysOnly, "keys only")
			when(q.Lease != 0, "put with lease")
		}
	}
	for i := range r.Ops {
		o := &r.Ops[i]
		when(o.Outcome == history.Unknown, "unknown")
		when(strings.Contains(o.Error, "compacted"), "refused: compacted")
		when(strings.Contains(o.Error, "lease not found"), "refused: lease")
		when(o.Kind == history.KindCompact && o.Outcome == history.OK, "compaction")
		when(slices.ContainsFunc(o.Compares, func(c history.Compare) bool { return c.End != "" }), "interval compared")
		requests(o.Then)
		requests(o.Else)
		if o.Kind == history.KindLeaseRevoke && o.Outcome != history.Failed {
			revoked++
		}
	}
	ended := 0
	for _, e := range r.Members[0].Entries {
		var p pb.InternalRaftRequest
		if proto.Unmarshal(e.Data, &p) == nil && p.LeaseRevoke != nil {
			ended++
		}
	}
	when(ended > revoked, "lease ended by itself")
	for i := range r.Watches {
		w := &r.Watches[i]
		when(w.Kind == history.WatchCanceled, "watch canceled")
		when(w.Kind == history.WatchProgress, "bookmark")
		when(w.Kind == history.WatchOpened && w.Request.Recorder && w.Request.Start != r.Meta.Base.Revision+1, "watch resumed")
		when(slices.ContainsFunc(w.Events, func(e history.WatchEvent) bool { return e.Prev != nil }), "previous value")
	}
	for i := range r.Events {
		when(r.Events[i].Kind == history.EventKilled && r.Events[i].Round == 0, "member restarted")
		when(r.Events[i].Kind == history.EventCut, "power loss")
	}
	when(r.Meta.ClockUncertainty > 0, "clocks differ")
	when(slices.ContainsFunc(r.Members[0].Records, func(x rungen.Record) bool { return !strings.HasPrefix(x.KV.Key, r.Meta.Prefix) }), "foreign write")
}
