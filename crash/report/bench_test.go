package report

import (
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

// BenchmarkRead is what a report costs beyond judging, for 100,000 operations.
func BenchmarkRead(b *testing.B) {
	s := sample{members: three, rounds: 5, perSecond: 4000, fault: "power-loss", lasting: 2500 * ms, result: verify.Pass}
	dir := b.TempDir()
	s.build().write(b, dir)
	v := s.verdict()
	b.ReportMetric(float64(len(s.ops)), "operations")
	for b.Loop() {
		if d := Read(dir, v); d.Load.Operations != len(s.ops) || d.Events[0].Kind != history.EventRunStart {
			b.Fatal("the run was not read")
		}
	}
}
