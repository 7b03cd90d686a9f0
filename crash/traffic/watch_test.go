package traffic

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

// checkWatches looks at the form of the records, and that the recorders saw
// every acknowledged write.
func checkWatches(t *testing.T, records []history.WatchRecord, ops []history.Op) {
	t.Helper()
	type state struct {
		request *history.WatchRequest
		created bool
		ended   bool
		last    int64
		at      int64
	}
	all := map[uint64]*state{}
	seen := map[string]map[int64]bool{}
	kinds := map[history.WatchKind]int{}
	for _, r := range records {
		kinds[r.Kind]++
		w := all[r.Watch]
		switch {
		case r.Kind == history.WatchOpened:
			if w != nil || r.Request == nil {
				t.Errorf("watch %d is opened twice, or without a request", r.Watch)
			}
			all[r.Watch] = &state{request: r.Request, last: r.Request.Start - 1}
			continue
		case w == nil || w.ended:
			t.Fatalf("watch %d has a record of kind %d before it was opened or after it ended", r.Watch, r.Kind)
		case r.Time < w.at:
			t.Errorf("watch %d goes back in time", r.Watch)
		}
		w.at = r.Time
		switch r.Kind {
		case history.WatchCreated:
			w.created = true
		case history.WatchCanceled, history.WatchClosed:
			w.ended = true
		case history.WatchEvents:
			if !w.created || len(r.Events) == 0 {
				t.Errorf("watch %d has events before it was created, or none", r.Watch)
			}
			for _, e := range r.Events {
				if e.KV.ModRevision < w.last || e.KV.ModRevision < w.request.Start {
					t.Errorf("watch %d from %d: revision %d after %d", r.Watch, w.request.Start, e.KV.ModRevision, w.last)
				}
				w.last = e.KV.ModRevision
				if w.request.Recorder {
					if seen[r.Member] == nil {
						seen[r.Member] = map[int64]bool{}
					}
					seen[r.Member][w.last] = true
				}
			}
		}
	}
	for id, w := range all {
		if !w.ended {
			t.Errorf("watch %d has no end", id)
		}
	}
	for _, op := range ops {
		if op.Outcome != history.OK || op.Kind != history.KindKV || op.Then[0].Verb != history.Put {
			continue
		}
		// On a busy machine one of them may be overtaken by a compaction.
		told := false
		for _, revisions := range seen {
			told = told || revisions[op.Revision]
		}
		if !told {
			t.Errorf("every recorder missed revision %d", op.Revision)
		}
	}
	if len(seen) == 0 || kinds[history.WatchEvents] == 0 {
		t.Errorf("records of each kind: %v, recorders of %d members", kinds, len(seen))
	}
}

func TestWatchersOfEveryKind(t *testing.T) {
	eps, _ := startCluster(t, "", 1)
	ops, watches := &memory{}, &watchMemory{}
	o := clusterOptions(eps, "watches", ops, watches)
	o.Profile.CompactEvery, o.Profile.Rate = 200*time.Millisecond, 1500
	l, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "watches of all kinds", func() bool {
		watches.mu.Lock()
		defer watches.mu.Unlock()
		var compacted, future, from0, filtered, prev bool
		for _, r := range watches.records {
			compacted = compacted || r.Kind == history.WatchCanceled && r.CompactRevision > 0
			if q := r.Request; q != nil {
				future = future || q.Start > l.newest.revision.Load()-100
				from0, filtered, prev = from0 || q.Start == 0, filtered || q.NoPut || q.NoDelete, prev || q.Prev
			}
		}
		return compacted && future && from0 && filtered && prev && l.Acked() > 3000
	})
	begin := time.Now()
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 7*time.Second {
		t.Errorf("slow watchers held up the end by %v", took)
	}
	checkWatches(t, watches.records, ops.ops)
	kinds := map[history.WatchKind]bool{}
	for _, r := range watches.records {
		kinds[r.Kind] = true
	}
	if !kinds[history.WatchProgress] || !kinds[history.WatchAsked] {
		t.Error("no watch asked for a bookmark and had one")
	}
}

// A recorder goes on by itself over a restart of its member.
func TestARecorderOutlivesItsMember(t *testing.T) {
	eps, commands := startCluster(t, "", 1)
	ops, watches := &memory{}, &watchMemory{}
	o := clusterOptions(eps, "default", ops, watches)
	l, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "500 operations", func() bool { return l.Acked() >= 500 })
	if err := commands[0].Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = commands[0].Wait()
	again := exec.Command(commands[0].Path, commands[0].Args[1:]...)
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Process.Kill(); _ = again.Wait() })
	at := l.Acked()
	waitFor(t, "500 more", func() bool { return l.Acked() >= at+500 })
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}
	checkWatches(t, watches.records, ops.ops)
}
