package verify

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// BenchmarkScaling judges a hundred thousand operations and ten times as many, on
// one core, with the members' directories read by children as the command does.
func BenchmarkScaling(b *testing.B) {
	if testing.Short() {
		b.Skip("a million operations take gigabytes to make up")
	}
	size := wal.SegmentSizeBytes
	wal.SegmentSizeBytes = 64 * 1000 * 1000 // etcd's own
	defer func() { wal.SegmentSizeBytes = size }()
	small, large := scaled(b, 100_000), scaled(b, 1_000_000)
	exe := child(b)
	oneCore(b)
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Log("the peak includes making the runs up:", err)
	}
	took := func(dir string) (t [2]time.Duration) {
		debug.FreeOSMemory()
		began, cpu := time.Now(), cpuTime(b)
		if v := judge(b, dir, exe); v.Verdict != Pass {
			b.Fatal(show(v))
		}
		return [2]time.Duration{time.Since(began), cpuTime(b) - cpu}
	}
	var first, tenfold [2]time.Duration
	for b.Loop() {
		x, y := took(small), took(large)
		for i := range first {
			first[i] += x[i]
			tenfold[i] += y[i]
		}
	}
	n := float64(b.N)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(first[0].Seconds()/n, "100k-s")
	b.ReportMetric(tenfold[0].Seconds()/n, "1M-s")
	// What it would take if nothing else wanted the core.
	b.ReportMetric(first[1].Seconds()/n, "100k-cpu-s")
	b.ReportMetric(tenfold[1].Seconds()/n, "1M-cpu-s")
	b.ReportMetric(float64(tenfold[1])/float64(first[1]), "1M/100k")
	b.ReportMetric(peak(), "peak-MiB")
	var children unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &children); err == nil {
		b.ReportMetric(float64(children.Maxrss)/1024, "child-peak-MiB")
	}
}

// cpuTime is what this process and the children that ended have used.
func cpuTime(b *testing.B) (t time.Duration) {
	for _, who := range [2]int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		t += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return t
}

// scaled writes a run of n operations.
func scaled(b *testing.B, n int) string {
	dir := filepath.Join(b.TempDir(), "run")
	r := rungen.Simulate(rungen.Options{Seed: 1, Ops: n, Clients: 16, Keys: 1000, Value: 128, Rounds: 5})
	if err := r.Write(dir); err != nil {
		b.Fatal(err)
	}
	return dir
}
