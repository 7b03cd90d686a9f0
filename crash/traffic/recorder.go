package traffic

import (
	"context"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/crash/history"
)

// recorder watches every key of one member for the whole of the run: what it is
// told is evidence of writes whose outcome no client learned, and of what
// compaction removes.
type recorder struct {
	load   *Load
	client int32
	member string
	etcd   *clientv3.Client
	seen   atomic.Int64 // every event up to this revision has come
}

// run keeps a watch open until ctx is over.
func (r *recorder) run(ctx context.Context) {
	start := r.load.opts.Base + 1
	for ctx.Err() == nil {
		q := history.WatchRequest{Key: "\x00", End: "\x00", Start: start, Prev: true, Progress: true, Recorder: true}
		w := r.load.openWatch(ctx, r.etcd, r.client, r.member, q)
		if w == nil {
			return
		}
		r.follow(w)
		start = w.last + 1
		if w.ended != nil && w.ended.CompactRevision >= start {
			// The events up to there are gone, and the gap is in the record.
			start = w.ended.CompactRevision + 1
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// follow takes what the watch is told until it ends. It asks for no bookmarks:
// older etcd (v3.5.5 is one) sends them ahead of events (etcd issue #15220), and one
// known bug must not end every run of those versions. Every revision has an
// event, so they would tell nothing more.
func (r *recorder) follow(w *watch) {
	for open := true; open; {
		resp, more := <-w.answers
		open = w.take(resp, more)
		raise(&r.seen, w.last)
	}
	w.close("")
}

// recorded is the newest revision that a recorder has been told of, or without
// recorders the newest that anyone has.
func (l *Load) recorded() (revision int64) {
	if len(l.recorders) == 0 {
		return l.newest.revision.Load()
	}
	for _, r := range l.recorders {
		revision = max(revision, r.seen.Load())
	}
	return revision
}

// drain waits until the recorders have seen everything that was acknowledged,
// or max has passed: a member that is away cannot tell.
func (l *Load) drain(max time.Duration) {
	end := time.Now().Add(max)
	for _, r := range l.recorders {
		for r.seen.Load() < l.newest.revision.Load() && time.Now().Before(end) && l.Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
	}
}
