package docker

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

// powerLoss is one round: load, loss of power, recovery. It returns what was
// lost of the disk's cache.
func powerLoss(t *testing.T, ctx context.Context, p *Provider, l *lab.Lab, policy disk.Policy, seed uint64) disk.Choice {
	t.Helper()
	m := l.Members[0]
	loading, stop := context.WithCancel(ctx)
	acked := make(chan int64, 1<<16)
	go load(loading, dial(t, l, 0), acked)
	for range 50 {
		<-acked
	}
	start := time.Now()
	power, pause := can[lab.PowerCutter](t, m), can[lab.Pauser](t, m)
	var held lab.Held
	// A flush with nothing to cover may come first, and then etcd waits for
	// that one.
	until(t, "a flush with a write to cover", func() bool {
		must(t, power.Release(ctx))
		var err error
		held, err = power.Hold(ctx, 100*time.Millisecond)
		must(t, err)
		return held.Flushes > 0 && held.Uncovered > 0
	})
	frozen, err := pause.Freeze(ctx, 2*time.Second)
	must(t, err)
	must(t, can[lab.Linker](t, m).SetLink(ctx, false))
	cut, err := power.Cut(ctx)
	must(t, err)
	if i := info(t, m); i.State != lab.StateOff {
		t.Errorf("after the cut: %+v", i)
	}
	again, err := pause.Freeze(ctx, 30*time.Second)
	must(t, err)
	if !again.Observed {
		t.Errorf("after the cut: %+v", again)
	}
	must(t, can[lab.Runner](t, m).Kill(ctx))
	stop()
	var last int64
	for r := range acked {
		last = max(last, r)
	}
	downAt := time.Since(start)
	restored, err := power.Restore(ctx, policy, seed)
	must(t, err)
	must(t, can[lab.Linker](t, m).SetLink(ctx, true))
	must(t, can[lab.Runner](t, m).Start(ctx))
	must(t, p.ready(ctx, l))
	t.Logf("round took %v, down after %v: held %+v, frozen %+v then %+v, cut %+v, restored %+v", time.Since(start), downAt, held, frozen, again, cut, restored)
	r, err := dial(t, l, 0).Get(ctx, "k")
	must(t, err)
	if r.Header.Revision < last {
		t.Errorf("acknowledged revision %d, recovered %d", last, r.Header.Revision)
	}
	var log bytes.Buffer
	must(t, power.CutLog(ctx, &log))
	parsed, err := disk.OpenLog(bytes.NewReader(log.Bytes()), int64(log.Len()))
	must(t, err)
	if len(parsed.Entries) < 2 {
		t.Errorf("cut log of %d entries", len(parsed.Entries))
	}
	return restored.Choice
}

func TestPowerLoss(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, nil)
	l := f.up(t)
	for round, policy := range []disk.Policy{disk.Drop, disk.Random, disk.Torn} {
		powerLoss(t, f.ctx, f.Provider, l, policy, uint64(round))
	}
}
