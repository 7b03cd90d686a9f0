package traffic

import (
	"context"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

// watcher opens one watch after another, each of another kind.
type watcher struct {
	*client
	slow bool
}

func (w *watcher) run(ctx context.Context) {
	resume := int64(0)
	for ctx.Err() == nil {
		q := w.drawRequest()
		if resume > 0 && w.rng.IntN(2) == 0 {
			q.Start = resume
		}
		life, cancel := context.WithTimeout(ctx, w.life())
		if w.slow {
			resume = w.crawl(life, q)
		} else {
			resume = w.once(life, q)
		}
		cancel()
		if w.load.Err() != nil || !w.sleep(ctx, time.Duration(w.rng.IntN(50))*time.Millisecond) {
			return
		}
	}
}

// life is how long a watch is kept: mostly briefly, so that opening and resuming
// happen often.
func (w *watcher) life() time.Duration {
	switch w.rng.IntN(10) {
	case 0:
		return 30 * time.Second
	case 1, 2, 3:
		return 2*time.Second + time.Duration(w.rng.IntN(3000))*time.Millisecond
	}
	if w.slow {
		return 10 * time.Second
	}
	return 50*time.Millisecond + time.Duration(w.rng.IntN(500))*time.Millisecond
}

// once follows one watch to its end and says from where to resume.
func (w *watcher) once(ctx context.Context, q history.WatchRequest) (resume int64) {
	watch := w.load.openWatch(ctx, w.etcd, w.id, w.member, q)
	if watch == nil {
		return 0
	}
	// Half of the watches ask for bookmarks.
	every := time.Hour
	if w.rng.IntN(2) == 0 {
		every = 20*time.Millisecond + time.Duration(w.rng.IntN(1000))*time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for open := true; open; {
		select {
		case resp, more := <-watch.answers:
			open = watch.take(resp, more)
		case <-tick.C:
			open = watch.ask()
		}
	}
	watch.close("")
	return watch.last + 1
}

// drawRequest is a watch of any kind, from anywhere near the newest revision.
func (w *watcher) drawRequest() history.WatchRequest {
	r := w.rng
	q := history.WatchRequest{
		Key:      w.anyKey(),
		Start:    w.from(),
		Prev:     r.IntN(2) == 0,
		Progress: r.IntN(2) == 0,
		Fragment: r.IntN(3) == 0,
	}
	switch r.IntN(10) {
	case 0:
		q.NoPut = true
	case 1:
		q.NoDelete = true
	}
	switch d := r.IntN(10); {
	case d < 3 && w.load.kubernetes:
		q.Key = w.load.opts.Prefix + registry
		q.End = prefixEnd(q.Key)
		if listed := w.load.newest.listed.Load(); listed > 0 && r.IntN(3) > 0 {
			// As API servers do: everything since the list, and nothing of it.
			q.Start = listed + 1
		}
	case d < 5:
		i := w.interval(20)
		q.Key, q.End = i.Key, i.End
	case d < 8:
		q.Key, q.End = w.load.opts.Prefix, prefixEnd(w.load.opts.Prefix)
	}
	return q
}

// from is the first revision a watch wants: 0 for from now on. None but compacted
// ones are from before the run: what was written then is not in its history.
func (w *watcher) from() int64 {
	n := &w.load.newest
	head, compacted := n.revision.Load(), n.compacted.Load()
	from := w.load.starts.draw(w.rng)
	switch {
	case head == 0, from == "now":
		return 0
	case from == "compacted" && compacted > 1:
		return max(1, compacted-w.rng.Int64N(100))
	case from == "compaction":
		if compacted <= n.base {
			return 0 // there was none yet
		}
		return compacted
	case from == "future":
		return head + 1 + w.rng.Int64N(300)
	}
	return max(n.base+1, head-100+w.rng.Int64N(201))
}
