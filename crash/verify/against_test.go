package verify

import (
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
	opinion "github.com/etcdlab/etcdlab/crash/verify/second"
)

// BenchmarkAgainstPorcupine judges a history of 2,000 operations of 10 clients
// and has Porcupine search it, on the same core, one after the other. The judge
// reads the whole run directory; Porcupine is given the history in memory.
func BenchmarkAgainstPorcupine(b *testing.B) {
	for name, o := range map[string]rungen.Options{
		// One operation of a hundred times out, as in any run with faults.
		"timeouts": {Rounds: 1},
		// Its best case: every outcome is known.
		"no-timeouts": {Rounds: -1, Sure: true},
	} {
		o.Seed, o.Members, o.Clients, o.Ops, o.Keys, o.Value = 3, 3, 10, 2000, 100, 128
		b.Run(name, func(b *testing.B) { against(b, o) })
	}
}

func against(b *testing.B, o rungen.Options) {
	const patience = 30 * time.Second
	run := rungen.Simulate(o)
	dir := filepath.Join(b.TempDir(), "run")
	if err := run.Write(dir); err != nil {
		b.Fatal(err)
	}
	base := opinion.Base{Revision: run.Meta.Base.Revision, Prefix: run.Meta.Prefix}
	oneCore(b)
	judge(b, dir, nil) // once beforehand: the files are in the page cache then
	var ours, theirs time.Duration
	var said opinion.Result
	for b.Loop() {
		runtime.GC()        // what the other left behind
		began := cpuTime(b) // other work on the machine stretches the clock's
		if v := judge(b, dir, nil); storeVerdict(v) != Pass {
			b.Fatal(show(v))
		}
		ours += cpuTime(b) - began
		began = cpuTime(b)
		said = opinion.Whole(run.Ops, base, patience)
		theirs += cpuTime(b) - began
		if said.Answer == opinion.NotLinearizable {
			b.Fatalf("%+v", said)
		}
	}
	b.ReportMetric(0, "ns/op") // of both together it says nothing
	b.ReportMetric(ours.Seconds()*1e3/float64(b.N), "judge-cpu-ms")
	b.ReportMetric(theirs.Seconds()*1e3/float64(b.N), "porcupine-cpu-ms")
	b.ReportMetric(float64(theirs)/float64(ours), "times-faster")
	b.ReportMetric(float64(said.Unknown), "unknown-outcomes")
	if said.Answer == opinion.Unaffordable {
		b.Logf("Porcupine: %s, so the ratio is a lower bound", said.Why)
	}
}
