package traffic

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/crash/history"
)

// watch is one watch under way. It has a stream of its own: etcd answers a
// request for progress to every watch of a stream.
type watch struct {
	load    *Load
	id      uint64
	client  int32
	member  string
	request history.WatchRequest
	watcher clientv3.Watcher
	answers clientv3.WatchChan
	ctx     context.Context
	cancel  context.CancelFunc
	created bool
	last    int64 // every event up to this revision has come
	ended   *history.WatchRecord
}

// openWatch asks for a watch and waits until the client library has it or ctx
// is over; nil: the load is over.
func (l *Load) openWatch(ctx context.Context, etcd *clientv3.Client, client int32, member string, q history.WatchRequest) *watch {
	w := &watch{load: l, id: l.nextWatch.Add(1), client: client, member: member, request: q, watcher: clientv3.NewWatcher(etcd)}
	if q.Start > 0 {
		w.last = q.Start - 1
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	if !w.record(history.WatchRecord{Kind: history.WatchOpened, Request: &q}) {
		w.end()
		return nil
	}
	opts := []clientv3.OpOption{clientv3.WithCreatedNotify()}
	if q.End != "" {
		opts = append(opts, clientv3.WithRange(q.End))
	}
	if q.Start > 0 {
		opts = append(opts, clientv3.WithRev(q.Start))
	}
	for _, o := range []struct {
		on  bool
		opt clientv3.OpOption
	}{
		{q.Prev, clientv3.WithPrevKV()}, {q.Progress, clientv3.WithProgressNotify()}, {q.Fragment, clientv3.WithFragment()},
		{q.NoPut, clientv3.WithFilterPut()}, {q.NoDelete, clientv3.WithFilterDelete()},
	} {
		if o.on {
			opts = append(opts, o.opt)
		}
	}
	w.answers = w.watcher.Watch(w.ctx, q.Key, opts...)
	return w
}

// record stores a record of this watch at this time; false: the load is over.
func (w *watch) record(r history.WatchRecord) bool {
	r.Watch, r.Client, r.Member, r.Time = w.id, w.client, w.member, now()
	return w.load.recordWatch(&r)
}

// take stores one answer of the library; open is false when it was the last.
func (w *watch) take(resp clientv3.WatchResponse, more bool) (open bool) {
	if !more {
		// It ends without a word when its context does.
		w.close("")
		return false
	}
	h := resp.Header
	r := history.WatchRecord{Revision: h.GetRevision(), MemberID: h.GetMemberId(), CompactRevision: resp.CompactRevision}
	switch {
	case w.ctx.Err() != nil:
		w.close("")
		return false
	case resp.Err() != nil:
		r.Kind, r.Error = history.WatchCanceled, resp.Err().Error()
		w.ended = &r
		w.record(r)
		w.end()
		return false
	case resp.Created:
		r.Kind = history.WatchCreated
		if w.request.Start == 0 {
			w.last = max(w.last, r.Revision)
		}
		w.created = true
	case resp.IsProgressNotify():
		r.Kind = history.WatchProgress
		w.last = max(w.last, r.Revision)
	default:
		r.Kind = history.WatchEvents
		for _, e := range resp.Events {
			r.Events = append(r.Events, toEvent(e))
			w.last = max(w.last, e.Kv.ModRevision)
		}
	}
	return w.record(r)
}

func toEvent(e *clientv3.Event) history.WatchEvent {
	out := history.WatchEvent{Delete: e.Type == clientv3.EventTypeDelete, KV: toKV(e.Kv)}
	if e.PrevKv != nil {
		kv := toKV(e.PrevKv)
		out.Prev = &kv
	}
	return out
}

// ask asks for a bookmark; it does nothing before the watch is created, when
// there may be no stream to ask on.
func (w *watch) ask() bool {
	if !w.created {
		return true
	}
	if !w.record(history.WatchRecord{Kind: history.WatchAsked}) {
		return false
	}
	// A stream that is being opened again takes no request for a while.
	ctx, cancel := context.WithTimeout(w.ctx, w.load.opts.slow(200*time.Millisecond))
	defer cancel()
	_ = w.watcher.RequestProgress(ctx)
	return true
}

// close ends the watch from this side.
func (w *watch) close(why string) {
	if w.ended == nil {
		r := history.WatchRecord{Kind: history.WatchClosed, Error: why}
		w.ended = &r
		w.record(r)
	}
	w.end()
}

// end lets go of the stream and waits for the library's goroutines.
func (w *watch) end() {
	if w.watcher != nil {
		w.cancel()
		_ = w.watcher.Close()
	}
}

// recordWatch stores one record. Losing one is the load's end, as with operations.
func (l *Load) recordWatch(r *history.WatchRecord) bool {
	if err := l.opts.Watches.Append(r); err != nil {
		l.broken(fmt.Errorf("record what watch %d was told: %w", r.Watch, err))
		return false
	}
	return true
}
