package model

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/etcdlab/etcdlab/crash/history"
)

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
