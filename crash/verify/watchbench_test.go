package verify

import (
	"path/filepath"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// BenchmarkWatch1M judges what three recorders, and a few watches more, were
// told of in a run of a million operations: the chronicle is made once before.
func BenchmarkWatch1M(b *testing.B) {
	if testing.Short() {
		b.Skip("a million operations take gigabytes to make up")
	}
	benchmarkWatch(b, 1_000_000)
}

func BenchmarkWatch100k(b *testing.B) { benchmarkWatch(b, 100_000) }

func benchmarkWatch(b *testing.B, n int) {
	r := rungen.Simulate(rungen.Options{Seed: 1, Ops: n, Clients: 16, Keys: 1000, Value: 128, Rounds: 5})
	x := newTape(r)
	x.crowd()
	dir := x.write(b)
	c := &evidence{run: &r.Meta}
	if err := c.load(b.Context(), history.Dir(dir), Options{Exe: child(b)}); err != nil {
		b.Fatal(err)
	}
	t := &teller{run: c.run, events: c.events, h: c.ops, keys: c.keys, end: prefixEnd(c.run.Prefix)}
	rp, err := c.replay(b.Context(), history.Dir(dir), t, newRealtime(c.ops, c.run.Base.Revision, 0))
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(dir, history.FileWatches)
	events := 0
	for _, rec := range x.out {
		events += len(rec.Events)
	}
	x, r = nil, nil
	b.ResetTimer()
	b.ReportAllocs()
	for b.Loop() {
		if check := c.judgeWatch(path, t, rp, ""); check.Verdict != Pass {
			b.Fatal(check)
		}
	}
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(events), "events")
}
