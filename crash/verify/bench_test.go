package verify

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"go.etcd.io/etcd/server/v3/storage/wal"

	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// benchmark judges a run of n operations of three members, read by children as
// the command does.
func benchmark(b *testing.B, n int) {
	size := wal.SegmentSizeBytes
	wal.SegmentSizeBytes = 64 * 1000 * 1000 // etcd's own
	defer func() { wal.SegmentSizeBytes = size }()
	r := rungen.Simulate(rungen.Options{Seed: 1, Ops: n, Clients: 16, Keys: 1000, Value: 128, Rounds: 5})
	dir := filepath.Join(b.TempDir(), "run")
	if err := r.Write(dir); err != nil {
		b.Fatal(err)
	}
	revisions := len(r.Members[0].Records)
	r = nil
	debug.FreeOSMemory()
	// Writing 5 resets VmHWM (proc_pid_clear_refs(5)): making the run up is not
	// to count.
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Log("the peak includes making the run up:", err)
	}
	exe := child(b)
	b.ResetTimer()
	for b.Loop() {
		if v := judge(b, dir, exe); v.Verdict != Pass {
			b.Fatal(show(v))
		}
	}
	b.ReportMetric(float64(revisions), "revisions")
	b.ReportMetric(peak(), "peak-MiB")
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "operations/s")
}

// peak is the most memory this process, the judge, had, in MiB.
func peak() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kib, _ := strconv.ParseFloat(f[1], 64)
			return kib / 1024
		}
	}
	return 0
}

func BenchmarkVerify100k(b *testing.B) { benchmark(b, 100_000) }

func BenchmarkVerify1M(b *testing.B) {
	if testing.Short() {
		b.Skip("a million operations take gigabytes to make up")
	}
	benchmark(b, 1_000_000)
}
