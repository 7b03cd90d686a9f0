//go:build linux

package process

import (
	"bytes"
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

// load puts until the context ends and reports the acknowledged revisions.
func load(ctx context.Context, c *clientv3.Client, acked chan<- int64) {
	defer close(acked)
	for ctx.Err() == nil {
		ask, cancel := context.WithTimeout(ctx, time.Second)
		r, err := c.Put(ask, "k", "v")
		cancel()
		if err == nil {
			acked <- r.Header.Revision
		}
	}
}

func TestPowerLoss(t *testing.T) {
	for _, freezer := range []string{"v2", "v1"} {
		t.Run(freezer, func(t *testing.T) {
			f := newFixture(t, 1, nil)
			f.Freezer = freezer
			l := f.up(t)
			m := l.Members[0]
			for round, policy := range []disk.Policy{disk.Drop, disk.Random, disk.Torn} {
				ctx, stop := context.WithCancel(f.ctx)
				acked := make(chan int64, 1<<16)
				go load(ctx, client(t, l, 0), acked)
				for range 50 {
					<-acked
				}
				start := time.Now()
				power, pause := can[lab.PowerCutter](t, m), can[lab.Pauser](t, m)
				var held lab.Held
				// A flush with nothing to cover may come first, and then etcd
				// waits for that one.
				until(t, "a flush with a write to cover", func() bool {
					must(t, power.Release(f.ctx))
					var err error
					held, err = power.Hold(f.ctx, 100*time.Millisecond)
					must(t, err)
					return held.Flushes > 0 && held.Uncovered > 0
				})
				frozen, err := pause.Freeze(f.ctx, 2*time.Second)
				must(t, err)
				must(t, can[lab.Linker](t, m).SetLink(f.ctx, false))
				cut, err := power.Cut(f.ctx)
				must(t, err)
				if i := info(t, m); i.State != lab.StateOff {
					t.Errorf("after the cut: %+v", i)
				}
				again, err := pause.Freeze(f.ctx, 30*time.Second)
				must(t, err)
				if !again.Observed || again.Freezer != freezer {
					t.Errorf("after the cut: %+v", again)
				}
				must(t, can[lab.Runner](t, m).Kill(f.ctx))
				stop()
				var last int64
				for r := range acked {
					last = max(last, r)
				}
				downAt := time.Since(start)
				restored, err := power.Restore(f.ctx, policy, uint64(round))
				must(t, err)
				must(t, can[lab.Linker](t, m).SetLink(f.ctx, true))
				must(t, can[lab.Runner](t, m).Start(f.ctx))
				must(t, f.ready(f.ctx, l))
				t.Logf("round took %v, down after %v: held %+v, frozen %+v then %+v, cut %+v, restored %+v", time.Since(start), downAt, held, frozen, again, cut, restored)
				r, err := client(t, l, 0).Get(f.ctx, "k")
				must(t, err)
				if r.Header.Revision < last {
					t.Errorf("acknowledged revision %d, recovered %d", last, r.Header.Revision)
				}
				var log bytes.Buffer
				must(t, power.CutLog(f.ctx, &log))
				parsed, err := disk.OpenLog(bytes.NewReader(log.Bytes()), int64(log.Len()))
				must(t, err)
				if len(parsed.Entries) < 2 {
					t.Errorf("cut log of %d entries", len(parsed.Entries))
				}
			}
		})
	}
}
