package traffic

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/crash/history"
)

func toEtcd(op *history.Op) clientv3.Op {
	if op.Kind == history.KindKV {
		return request(op.Then[0])
	}
	var cmps []clientv3.Cmp
	for _, c := range op.Compares {
		cmps = append(cmps, compare(c))
	}
	return clientv3.OpTxn(cmps, requests(op.Then), requests(op.Else))
}

func requests(rs []history.Request) []clientv3.Op {
	var ops []clientv3.Op
	for _, r := range rs {
		ops = append(ops, request(r))
	}
	return ops
}

func request(r history.Request) clientv3.Op {
	var opts []clientv3.OpOption
	if r.End != "" {
		opts = append(opts, clientv3.WithRange(r.End))
	}
	switch r.Verb {
	case history.Put:
		return clientv3.OpPut(r.Key, r.Value)
	case history.Delete:
		return clientv3.OpDelete(r.Key, opts...)
	}
	if r.Limit > 0 {
		opts = append(opts, clientv3.WithLimit(r.Limit))
	}
	if r.Revision > 0 {
		opts = append(opts, clientv3.WithRev(r.Revision))
	}
	if r.Serializable {
		opts = append(opts, clientv3.WithSerializable())
	}
	return clientv3.OpGet(r.Key, opts...)
}

var relations = map[history.CompareResult]string{
	history.Equal: "=", history.Greater: ">", history.Less: "<", history.NotEqual: "!=",
}

func compare(c history.Compare) clientv3.Cmp {
	op := relations[c.Result]
	switch c.Target {
	case history.CompareValue:
		return clientv3.Compare(clientv3.Value(c.Key), op, c.Value)
	case history.CompareVersion:
		return clientv3.Compare(clientv3.Version(c.Key), op, c.Number)
	case history.CompareCreate:
		return clientv3.Compare(clientv3.CreateRevision(c.Key), op, c.Number)
	}
	return clientv3.Compare(clientv3.ModRevision(c.Key), op, c.Number)
}

// answer copies etcd's response into the operation and remembers the
// revisions that later compares ask for.
func (c *client) answer(op *history.Op, resp clientv3.OpResponse) {
	var header *pb.ResponseHeader
	switch {
	case resp.Put() != nil:
		header = resp.Put().Header
		op.Results = []history.Result{{}}
	case resp.Get() != nil:
		header = resp.Get().Header
		op.Results = []history.Result{rangeResult((*pb.RangeResponse)(resp.Get()))}
	case resp.Del() != nil:
		header = resp.Del().Header
		op.Results = []history.Result{{Deleted: resp.Del().Deleted}}
	case resp.Txn() != nil:
		header = resp.Txn().Header
		op.Succeeded = resp.Txn().Succeeded
		for _, r := range resp.Txn().Responses {
			op.Results = append(op.Results, txnResult(r))
		}
	}
	op.Revision, op.RaftTerm, op.MemberID = header.Revision, header.RaftTerm, header.MemberId
	c.remember(op)
}

func txnResult(r *pb.ResponseOp) history.Result {
	switch {
	case r.GetResponseRange() != nil:
		return rangeResult(r.GetResponseRange())
	case r.GetResponseDeleteRange() != nil:
		return history.Result{Deleted: r.GetResponseDeleteRange().Deleted}
	}
	return history.Result{}
}

func rangeResult(r *pb.RangeResponse) history.Result {
	out := history.Result{Count: r.Count, More: r.More}
	for _, kv := range r.Kvs {
		out.KVs = append(out.KVs, toKV(kv))
	}
	return out
}

func toKV(kv *mvccpb.KeyValue) history.KV {
	return history.KV{
		Key: string(kv.Key), Value: string(kv.Value), Lease: kv.Lease,
		CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version,
	}
}

func (c *client) remember(op *history.Op) {
	branch := op.Then
	if op.Kind == history.KindTxn && !op.Succeeded {
		branch = op.Else
	}
	for i, r := range branch {
		switch r.Verb {
		case history.Put:
			c.seen[r.Key] = op.Revision
		case history.Delete:
			c.seen[r.Key] = 0
		case history.Range:
			if r.End == "" && len(op.Results[i].KVs) == 0 {
				c.seen[r.Key] = 0
			}
			for _, kv := range op.Results[i].KVs {
				c.seen[kv.Key] = kv.ModRevision
			}
		}
	}
}
