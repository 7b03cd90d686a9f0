package verify

import (
	"context"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/traffic"
)

// recordRun makes a run of a real etcd under the traffic of a profile, one member
// killed in the middle, and gives its directory.
func recordRun(t *testing.T, p traffic.Profile, acked int64) string {
	c, run := newRealCluster(t)
	run.Traffic = p.Name
	ops := logFile(t, c.dir, history.FileOps, history.NewWriter)
	watches := logFile(t, c.dir, history.FileWatches, history.NewWatchWriter)
	var endpoints []traffic.Endpoint
	for _, m := range run.Members {
		endpoints = append(endpoints, traffic.Endpoint{Member: m.Name, URL: m.ClientURL})
	}
	seen := &seen{sink: ops}
	load, err := traffic.Start(context.Background(), traffic.Options{
		RunID: run.ID, Prefix: run.Prefix, Endpoints: endpoints, Profile: p, Seed: 1, Sink: seen, Watches: watches, Base: run.Base.Revision,
	})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	until := func(done func() bool) {
		for deadline := time.Now().Add(4 * time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d operations were acknowledged, up to revision %d, compacted at %d", load.Acked(), seen.newest.Load(), seen.compacted.Load())
			}
		}
	}
	until(func() bool { return load.Acked() >= acked/2 })
	c.crashRound(c.members[:1])
	// Some of the history is to be on either side of the compaction, and leases
	// are to end.
	until(func() bool {
		if p.CompactEvery == 0 {
			return load.Acked() >= acked
		}
		return time.Since(begun) > 8*time.Second && load.Acked() >= acked && seen.compacted.Load() > run.Base.Revision+500 && seen.newest.Load() > seen.compacted.Load()+700
	})
	if err := load.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, end := range []func() error{ops.Close, watches.Close} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
	final := c.final(run)
	c.event(history.EventRunEnd, "")
	if err := writeAll(c.dir, run, final, c.events); err != nil {
		t.Fatal(err)
	}
	return c.dir
}

// seen notes how far the run is.
type seen struct {
	sink              traffic.Sink
	newest, compacted atomic.Int64
}

func (s *seen) Append(op *history.Op) error {
	if op.Outcome == history.OK {
		s.newest.Store(max(s.newest.Load(), op.Revision))
		if op.Kind == history.KindCompact {
			s.compacted.Store(max(s.compacted.Load(), op.Call.Revision))
		}
	}
	return s.sink.Append(op)
}

func logFile[W any](t *testing.T, dir, name string, begin func(io.Writer) (W, error)) W {
	f, err := os.Create(history.Dir(dir).Path(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	w, err := begin(f)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// everything is the profile of that name, with some history left above its last
// compaction and leases that end within the run.
func everything(t *testing.T) traffic.Profile {
	p, err := traffic.Find("everything")
	if err != nil {
		t.Fatal(err)
	}
	p.Rate = 1200 // a fast machine is not to make a run that takes long to judge
	p.CompactEvery, p.CompactBehind, p.LeaseTTLs, p.Keys = 4*time.Second, 100, []int{1}, 100
	p.Sizes = slices.DeleteFunc(p.Sizes, func(s traffic.Size) bool { return s.Bytes > 32<<10 })
	return p
}

func TestRecordedRunPasses(t *testing.T) {
	dir := recordRun(t, everything(t), 8000)
	v := judge(t, dir, child(t))
	t.Log(show(v))
	if v.Verdict != Pass {
		if keep := os.Getenv("ETCDLAB_KEEP"); keep != "" {
			_ = os.CopyFS(keep, os.DirFS(dir))
		}
		t.Fatal("a real etcd does not pass")
	}
}
