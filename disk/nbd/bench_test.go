package nbd

import (
	"sync"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/conformance"
)

// direct is the engine without a server.
type direct struct{ *disk.Engine }

func (d direct) Sync() error                { return d.Flush() }
func (d direct) ZeroOut(off, n int64) error { return d.WriteZeroes(off, n) }
func (d direct) Close() error               { return nil }

// BenchmarkSync writes 4 KiB and flushes, as a write-ahead log does, through the
// server and without it, in turns, so that a noisy machine is noisy for both.
func BenchmarkSync(b *testing.B) {
	e, d := attachNew(b, disk.Options{Size: 64 << 20})
	plain := newEngine(b, disk.Options{Size: 64 << 20})
	sides := []struct {
		name string
		conformance.Device
		took time.Duration
	}{{name: "nbd", Device: dial(b, d.Path())}, {name: "engine", Device: direct{plain}}}
	p := make([]byte, 4096)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += 100 {
		for s := range sides {
			start := time.Now()
			for j := i; j < min(i+100, b.N); j++ {
				_, err := sides[s].WriteAt(p, int64(j)*4096%e.Size())
				must(b, err)
				must(b, sides[s].Sync())
			}
			sides[s].took += time.Since(start)
		}
	}
	for _, s := range sides {
		b.ReportMetric(float64(s.took.Nanoseconds())/float64(b.N), "ns/"+s.name)
	}
}

// BenchmarkTransfer moves 128 KiB at a time, 8 at once.
func BenchmarkTransfer(b *testing.B) {
	_, d := attachNew(b, disk.Options{Size: 64 << 20})
	c := dial(b, d.Path())
	const at, length = 8, 128 << 10
	for name, do := range map[string]func([]byte, int64) (int, error){"read": c.ReadAt, "write": c.WriteAt} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(length)
			var running sync.WaitGroup
			for w := range at {
				running.Go(func() {
					p := make([]byte, length)
					for i := w; i < b.N; i += at {
						if _, err := do(p, int64(i)*length%(64<<20)); err != nil {
							b.Error(err)
							return
						}
						if name == "write" && i%64 == 63 {
							if err := c.Sync(); err != nil {
								b.Error(err)
							}
						}
					}
				})
			}
			running.Wait()
		})
	}
}
