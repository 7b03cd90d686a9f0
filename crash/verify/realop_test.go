package verify

import (
	"fmt"
	"math/rand/v2"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/crash/history"
)

// realOp makes up an operation, wider than the traffic of a run: what etcd does
// inside transactions is where the checkers' model could be wrong.
func realOp(r *rand.Rand, run *history.Run, id uint64, client int32) *history.Op {
	op := &history.Op{ID: id, Client: client}
	key := func() string { return fmt.Sprintf("%sk%03d", run.Prefix, r.IntN(20)) }
	put := func(n int) history.Request {
		return history.Request{Verb: history.Put, Key: key(), Value: history.Value(run.ID, client, id, n, 100)}
	}
	k := key()
	get := history.Request{Verb: history.Range, Key: k}
	all := history.Request{Verb: history.Range, Key: run.Prefix, End: prefixEnd(run.Prefix), Limit: int64(r.IntN(4))}
	switch r.IntN(10) {
	case 0, 1, 2:
		op.Then = []history.Request{put(0)}
	case 3:
		get.Serializable = r.IntN(2) == 0
		op.Then = []history.Request{get}
	case 4:
		all.Serializable = r.IntN(2) == 0
		op.Then = []history.Request{all}
	case 5:
		op.Then = []history.Request{{Verb: history.Delete, Key: k}}
	case 6:
		op.Then = []history.Request{{Verb: history.Delete, Key: run.Prefix + "k00", End: run.Prefix + "k003"}}
	case 7:
		op.Kind = history.KindTxn
		op.Compares = []history.Compare{{Key: k, Target: history.CompareTarget(1 + r.IntN(3)), Result: history.CompareResult(r.IntN(4)), Number: int64(r.IntN(3))}}
		p := put(0)
		p.Key = k
		op.Then, op.Else = []history.Request{get, p, get, all}, []history.Request{all, get}
	case 8:
		op.Kind = history.KindTxn
		op.Compares = []history.Compare{{Key: k, Target: history.CompareValue, Result: history.NotEqual, Value: "x"}}
		op.Then = []history.Request{{Verb: history.Delete, Key: k}, all}
		op.Else = []history.Request{get}
	default:
		op.Kind = history.KindTxn
		op.Then = []history.Request{all, get}
	}
	return op
}

func realRequest(op *history.Op) clientv3.Op {
	one := func(r history.Request) clientv3.Op {
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
		if r.Serializable {
			opts = append(opts, clientv3.WithSerializable())
		}
		return clientv3.OpGet(r.Key, append(opts, clientv3.WithLimit(r.Limit))...)
	}
	if op.Kind == history.KindKV {
		return one(op.Then[0])
	}
	var cmps []clientv3.Cmp
	relation := [...]string{"=", ">", "<", "!="}
	for _, c := range op.Compares {
		rel := relation[c.Result]
		switch c.Target {
		case history.CompareValue:
			cmps = append(cmps, clientv3.Compare(clientv3.Value(c.Key), rel, c.Value))
		case history.CompareVersion:
			cmps = append(cmps, clientv3.Compare(clientv3.Version(c.Key), rel, c.Number))
		case history.CompareCreate:
			cmps = append(cmps, clientv3.Compare(clientv3.CreateRevision(c.Key), rel, c.Number))
		case history.CompareMod:
			cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(c.Key), rel, c.Number))
		}
	}
	many := func(reqs []history.Request) (ops []clientv3.Op) {
		for _, r := range reqs {
			ops = append(ops, one(r))
		}
		return ops
	}
	return clientv3.OpTxn(cmps, many(op.Then), many(op.Else))
}

func realAnswer(op *history.Op, resp clientv3.OpResponse) {
	op.Outcome = history.OK
	ranged := func(r *pb.RangeResponse) history.Result {
		out := history.Result{Count: r.Count, More: r.More}
		for _, kv := range r.Kvs {
			out.KVs = append(out.KVs, history.KV{Key: string(kv.Key), Value: string(kv.Value), CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease})
		}
		return out
	}
	var h *pb.ResponseHeader
	switch {
	case resp.Put() != nil:
		h, op.Results = resp.Put().Header, []history.Result{{}}
	case resp.Get() != nil:
		h, op.Results = resp.Get().Header, []history.Result{ranged((*pb.RangeResponse)(resp.Get()))}
	case resp.Del() != nil:
		h, op.Results = resp.Del().Header, []history.Result{{Deleted: resp.Del().Deleted}}
	default:
		h, op.Succeeded = resp.Txn().Header, resp.Txn().Succeeded
		for _, r := range resp.Txn().Responses {
			res := history.Result{}
			if r.GetResponseRange() != nil {
				res = ranged(r.GetResponseRange())
			} else if d := r.GetResponseDeleteRange(); d != nil {
				res.Deleted = d.Deleted
			}
			op.Results = append(op.Results, res)
		}
	}
	op.Revision, op.RaftTerm, op.MemberID = h.Revision, h.RaftTerm, h.MemberId
}
