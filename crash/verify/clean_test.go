package verify

import (
	"fmt"
	"testing"

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
		Skew: int64(seed%4) * 1_500_000,
	}
}

// TestCleanWide judges generated runs in which nothing went wrong.
func TestCleanWide(t *testing.T) {
	n := uint64(220)
	if testing.Short() {
		n = 20
	}
	for seed := range n {
		o := cleanOptions(seed)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rungen.Simulate(o)
			if v := judge(t, write(t, r), nil); v.Verdict != Pass {
				t.Fatalf("%+v: %s", o, show(v))
			}
		})
	}
}
