package traffic

import (
	"context"
	"math"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/etcdlab/etcdlab/crash/history"
)

// crawl follows one watch and waits between reads. It reads the stream itself:
// the client library would take in everything at once and only then be slow,
// and the member's buffers would never fill.
func (w *watcher) crawl(ctx context.Context, q history.WatchRequest) (resume int64) {
	q.Fragment = false
	watch := &watch{load: w.load, id: w.load.nextWatch.Add(1), client: w.id, member: w.member, request: q, ctx: ctx, last: max(0, q.Start-1)}
	if !watch.record(history.WatchRecord{Kind: history.WatchOpened, Request: &q}) {
		return 0
	}
	err := w.readSlowly(ctx, watch)
	if watch.ended == nil {
		why := ""
		if err != nil && ctx.Err() == nil {
			why = err.Error()
		}
		watch.record(history.WatchRecord{Kind: history.WatchClosed, Error: why})
	}
	return watch.last + 1
}

func (w *watcher) readSlowly(ctx context.Context, watch *watch) error {
	// Not the caller's: the stream's goroutines must be gone when this returns.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A response holds all events that wait, up to a thousand revisions.
	s, err := pb.NewWatchClient(w.etcd.ActiveConnection()).Watch(ctx, grpc.MaxCallRecvMsgSize(math.MaxInt32))
	if err != nil {
		return err
	}
	q := watch.request
	create := &pb.WatchCreateRequest{
		Key: []byte(q.Key), RangeEnd: []byte(q.End), StartRevision: q.Start, ProgressNotify: q.Progress, PrevKv: q.Prev,
	}
	if q.NoPut {
		create.Filters = append(create.Filters, pb.WatchCreateRequest_NOPUT)
	}
	if q.NoDelete {
		create.Filters = append(create.Filters, pb.WatchCreateRequest_NODELETE)
	}
	if err := s.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}); err != nil {
		return err
	}
	for {
		r, err := s.Recv()
		if err != nil {
			return rpctypes.Error(err)
		}
		if !watch.takeRaw(r) {
			return nil
		}
		if !w.sleep(ctx, time.Duration(20+w.rng.IntN(300))*time.Millisecond) {
			return nil
		}
	}
}

// takeRaw is take for a response that the client library has not seen.
func (w *watch) takeRaw(r *pb.WatchResponse) (open bool) {
	resp := clientv3.WatchResponse{
		Header: r.Header, CompactRevision: r.CompactRevision, Canceled: r.Canceled, Created: r.Created && !r.Canceled, CancelReason: r.CancelReason,
	}
	for _, e := range r.Events {
		resp.Events = append(resp.Events, (*clientv3.Event)(e))
	}
	if resp.Err() == nil {
		return w.take(resp, true)
	}
	rec := history.WatchRecord{
		Kind: history.WatchCanceled, Revision: r.Header.GetRevision(), MemberID: r.Header.GetMemberId(),
		CompactRevision: r.CompactRevision, Error: resp.Err().Error(),
	}
	w.ended = &rec
	w.record(rec)
	return false
}
