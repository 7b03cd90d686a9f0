package model

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/etcdlab/etcdlab/crash/history"
)

// Operations as etcd's own messages, without the client library, which mends
// some options on the way.

// Proposal is what etcd puts into its log for an operation that writes; nil for
// one of a kind that the model does not know.
func Proposal(op *history.Op) *pb.InternalRaftRequest {
	p := &pb.InternalRaftRequest{Header: &pb.RequestHeader{ID: op.ID}}
	switch {
	case op.Kind == history.KindTxn:
		p.Txn = toTxn(op.Compares, op.Then, op.Else)
	case op.Kind == history.KindKV && op.Then[0].Verb == history.Put:
		p.Put = toPut(&op.Then[0])
	case op.Kind == history.KindKV && op.Then[0].Verb == history.Delete:
		p.DeleteRange = toDelete(&op.Then[0])
	case op.Kind == history.KindCompact:
		p.Compaction = &pb.CompactionRequest{Revision: op.Call.Revision, Physical: op.Call.Physical}
	case op.Kind == history.KindLeaseGrant:
		p.LeaseGrant = &pb.LeaseGrantRequest{ID: op.Call.Lease, TTL: op.Call.TTL}
	case op.Kind == history.KindLeaseRevoke:
		p.LeaseRevoke = &pb.LeaseRevokeRequest{ID: op.Call.Lease}
	default:
		return nil
	}
	return p
}

func toRange(r *history.Request) *pb.RangeRequest {
	return &pb.RangeRequest{
		Key: []byte(r.Key), RangeEnd: []byte(r.End), Limit: r.Limit, Revision: r.Revision, Serializable: r.Serializable,
		KeysOnly: r.KeysOnly, CountOnly: r.CountOnly,
		SortOrder: pb.RangeRequest_SortOrder(r.Order), SortTarget: pb.RangeRequest_SortTarget(r.Sort),
	}
}

func toPut(r *history.Request) *pb.PutRequest {
	return &pb.PutRequest{Key: []byte(r.Key), Value: []byte(r.Value), Lease: r.Lease, PrevKv: r.Prev}
}

func toDelete(r *history.Request) *pb.DeleteRangeRequest {
	return &pb.DeleteRangeRequest{Key: []byte(r.Key), RangeEnd: []byte(r.End), PrevKv: r.Prev}
}

func toTxn(cs []history.Compare, then, els []history.Request) *pb.TxnRequest {
	t := &pb.TxnRequest{Success: toOps(then), Failure: toOps(els)}
	for _, c := range cs {
		p := &pb.Compare{Key: []byte(c.Key), RangeEnd: []byte(c.End), Result: [...]pb.Compare_CompareResult{
			history.Equal: pb.Compare_EQUAL, history.Greater: pb.Compare_GREATER,
			history.Less: pb.Compare_LESS, history.NotEqual: pb.Compare_NOT_EQUAL,
		}[c.Result]}
		switch c.Target {
		case history.CompareValue:
			p.Target, p.TargetUnion = pb.Compare_VALUE, &pb.Compare_Value{Value: []byte(c.Value)}
		case history.CompareVersion:
			p.Target, p.TargetUnion = pb.Compare_VERSION, &pb.Compare_Version{Version: c.Number}
		case history.CompareCreate:
			p.Target, p.TargetUnion = pb.Compare_CREATE, &pb.Compare_CreateRevision{CreateRevision: c.Number}
		case history.CompareMod:
			p.Target, p.TargetUnion = pb.Compare_MOD, &pb.Compare_ModRevision{ModRevision: c.Number}
		case history.CompareLease:
			p.Target, p.TargetUnion = pb.Compare_LEASE, &pb.Compare_Lease{Lease: c.Number}
		}
		t.Compare = append(t.Compare, p)
	}
	return t
}

func toOps(reqs []history.Request) (out []*pb.RequestOp) {
	for i := range reqs {
		r, op := &reqs[i], &pb.RequestOp{}
		switch r.Verb {
		case history.Put:
			op.Request = &pb.RequestOp_RequestPut{RequestPut: toPut(r)}
		case history.Delete:
			op.Request = &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: toDelete(r)}
		case history.Range:
			op.Request = &pb.RequestOp_RequestRange{RequestRange: toRange(r)}
		case history.Txn:
			op.Request = &pb.RequestOp_RequestTxn{RequestTxn: toTxn(r.Txn.Compares, r.Txn.Then, r.Txn.Else)}
		}
		out = append(out, op)
	}
	return out
}
