package model

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/etcdlab/etcdlab/crash/history"
)

// Operations to and from etcd's own messages, without the client library, which
// mends some options on the way.

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

func fromKVs(kvs ...*mvccpb.KeyValue) (out []history.KV) {
	for _, kv := range kvs {
		if kv != nil {
			out = append(out, history.KV{
				Key: string(kv.Key), Value: string(kv.Value), Lease: kv.Lease,
				CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version,
			})
		}
	}
	return out
}

func fromRange(r *pb.RangeResponse) history.Result {
	return history.Result{KVs: fromKVs(r.Kvs...), Count: r.Count, More: r.More}
}

func fromDelete(r *pb.DeleteRangeResponse) history.Result {
	return history.Result{KVs: fromKVs(r.PrevKvs...), Deleted: r.Deleted}
}

func fromTxn(r *pb.TxnResponse) (out []history.Result) {
	out = make([]history.Result, len(r.Responses))
	for i, o := range r.Responses {
		switch {
		case o.GetResponsePut() != nil:
			out[i].KVs = fromKVs(o.GetResponsePut().PrevKv)
		case o.GetResponseDeleteRange() != nil:
			out[i] = fromDelete(o.GetResponseDeleteRange())
		case o.GetResponseRange() != nil:
			out[i] = fromRange(o.GetResponseRange())
		case o.GetResponseTxn() != nil:
			out[i] = history.Result{Succeeded: o.GetResponseTxn().Succeeded, Results: fromTxn(o.GetResponseTxn())}
		}
	}
	return out
}
