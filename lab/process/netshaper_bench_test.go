//go:build linux

package process

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
)

// BenchmarkWire is what being in the way costs: puts by 64 clients in turns,
// without rules and with one on every link that no packet matches; with the
// agents' processor time, as a busy machine says little by the other.
func BenchmarkWire(b *testing.B) {
	const turns = 12
	f := newFixture(b, 3, nil)
	l, err := f.Up(f.ctx, f.spec, f.images)
	must(b, err)
	b.Cleanup(func() { closeAll(l) })
	c := client(b, l, 0)
	elsewhere := []lab.NetRule{{Action: lab.NetDrop, Peers: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}
	value := string(make([]byte, 512))
	var took, spent [2]time.Duration
	puts := max(100, b.N/turns)
	b.ResetTimer()
	for turn := range turns {
		with := turn % 2
		for _, m := range l.Members {
			must(b, can[lab.NetShaper](b, m).SetNetRules(f.ctx, "bench", elsewhere[:with], 1))
		}
		var next, failed atomic.Int64
		var clients sync.WaitGroup
		before, start := agentTime(b, l), time.Now()
		for range 64 {
			clients.Go(func() {
				for next.Add(1) <= int64(puts) {
					if _, err := c.Put(f.ctx, "k", value); err != nil {
						failed.Add(1)
					}
				}
			})
		}
		clients.Wait()
		took[with] += time.Since(start)
		spent[with] += agentTime(b, l) - before
		if failed.Load() > 0 {
			b.Errorf("%d puts failed", failed.Load())
		}
	}
	for with, name := range []string{"without", "with"} {
		n := float64(puts * turns / 2)
		b.ReportMetric(n/took[with].Seconds(), "puts/s-"+name)
		b.ReportMetric(float64(spent[with].Microseconds())/n, "agents-us/put-"+name)
	}
}

// agentTime is the processor time of a lab's agents.
func agentTime(b *testing.B, l *lab.Lab) (sum time.Duration) {
	b.Helper()
	for _, m := range l.Members {
		s, err := m.(interface {
			Status(context.Context) (agent.Status, error)
		}).Status(context.Background())
		must(b, err)
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.Agent))
		must(b, err)
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		for _, field := range fields[11:13] { // utime, stime, in hundredths of a second
			var ticks int
			_, err := fmt.Sscan(field, &ticks)
			must(b, err)
			sum += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return sum
}
