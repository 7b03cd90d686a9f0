package traffic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"github.com/etcdlab/etcdlab/crash/history"
)

var memberOperations = []Operation{
	{"status", "of a member", (*client).status},
	{"members", "the list of members, linearizable", (*client).members},
	{"alarms", "the list of alarms, which etcd passes through its log", (*client).alarms},
}

func (c *client) status(ctx context.Context) bool {
	return c.call(ctx, history.KindStatus, history.Call{}, func(ctx context.Context, conn *grpc.ClientConn, call *history.Call) (header, error) {
		r, err := pb.NewMaintenanceClient(conn).Status(ctx, &pb.StatusRequest{})
		if err != nil {
			return nil, err
		}
		call.Size, call.Leader, call.Index = r.DbSize, r.Leader, r.RaftAppliedIndex
		return r.Header, nil
	}) != nil
}

// members are listed as ID in hex, name, role and peer URLs.
func (c *client) members(ctx context.Context) bool {
	return c.call(ctx, history.KindMembers, history.Call{}, func(ctx context.Context, conn *grpc.ClientConn, call *history.Call) (header, error) {
		r, err := pb.NewClusterClient(conn).MemberList(ctx, &pb.MemberListRequest{Linearizable: true})
		if err != nil {
			return nil, err
		}
		for _, m := range r.Members {
			role := "voter"
			if m.IsLearner {
				role = "learner"
			}
			call.List = append(call.List, fmt.Sprintf("%x %s %s %s", m.ID, m.Name, role, strings.Join(m.PeerURLs, ",")))
		}
		slices.Sort(call.List)
		return r.Header, nil
	}) != nil
}

// alarms are listed as the member's ID in hex and the alarm.
func (c *client) alarms(ctx context.Context) bool {
	return c.call(ctx, history.KindAlarms, history.Call{}, func(ctx context.Context, conn *grpc.ClientConn, call *history.Call) (header, error) {
		r, err := pb.NewMaintenanceClient(conn).Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_GET})
		if err != nil {
			return nil, err
		}
		for _, a := range r.Alarms {
			call.List = append(call.List, fmt.Sprintf("%x %s", a.MemberID, a.Alarm))
		}
		slices.Sort(call.List)
		return r.Header, nil
	}) != nil
}

// compact asks for a compaction up to a revision; nil: the load is over.
func (c *client) compact(ctx context.Context, revision int64, physical bool) *history.Op {
	op := c.begin(ctx)
	if op == nil {
		return nil
	}
	// A physical one is answered after all records are gone, ten milliseconds a batch.
	op = c.callAs(ctx, op, 10*c.load.opts.Timeout, history.KindCompact, history.Call{Revision: revision, Physical: physical}, func(ctx context.Context, conn *grpc.ClientConn, _ *history.Call) (header, error) {
		r, err := pb.NewKVClient(conn).Compact(ctx, &pb.CompactionRequest{Revision: revision, Physical: physical})
		if err != nil {
			return nil, err
		}
		return r.Header, nil
	})
	if op != nil && op.Outcome == history.OK {
		raise(&c.load.newest.compacted, revision)
	}
	return op
}

// hash asks the client's member for its hash at a revision; nil: the load is over.
func (c *client) hash(ctx context.Context, revision int64) *history.Op {
	return c.call(ctx, history.KindHash, history.Call{Revision: revision}, func(ctx context.Context, conn *grpc.ClientConn, call *history.Call) (header, error) {
		r, err := pb.NewMaintenanceClient(conn).HashKV(ctx, &pb.HashKVRequest{Revision: revision})
		if err != nil {
			return nil, err
		}
		call.Hash, call.CompactRevision = r.Hash, r.CompactRevision
		return r.Header, nil
	})
}

// maintenance is how long a defragmentation or a snapshot may take.
const maintenance = 30 * time.Second

func (c *client) defrag(ctx context.Context) bool {
	op := c.begin(ctx)
	return op != nil && c.callAs(ctx, op, c.load.opts.slow(maintenance), history.KindDefrag, history.Call{}, func(ctx context.Context, conn *grpc.ClientConn, _ *history.Call) (header, error) {
		r, err := pb.NewMaintenanceClient(conn).Defragment(ctx, &pb.DefragmentRequest{})
		if err != nil {
			return nil, err
		}
		return r.Header, nil
	}) != nil
}

// snapshot reads one through to its end and keeps its size.
func (c *client) snapshot(ctx context.Context) bool {
	op := c.begin(ctx)
	return op != nil && c.callAs(ctx, op, c.load.opts.slow(maintenance), history.KindSnapshot, history.Call{}, func(ctx context.Context, conn *grpc.ClientConn, call *history.Call) (header, error) {
		s, err := pb.NewMaintenanceClient(conn).Snapshot(ctx, &pb.SnapshotRequest{})
		if err != nil {
			return nil, err
		}
		var first *pb.ResponseHeader
		for {
			r, err := s.Recv()
			if errors.Is(err, io.EOF) {
				return first, nil
			}
			if err != nil {
				return nil, err
			}
			if first == nil {
				first = r.Header
			}
			call.Size += int64(len(r.Blob))
		}
	}) != nil
}
