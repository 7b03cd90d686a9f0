package traffic

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/crash/history"
)

// answer copies etcd's response into the operation and remembers the
// revisions that later compares ask for.
func (c *client) answer(op *history.Op, resp clientv3.OpResponse) {
	var h *pb.ResponseHeader
	switch {
	case resp.Put() != nil:
		h = resp.Put().Header
		op.Results = []history.Result{{KVs: previous(resp.Put().PrevKv)}}
	case resp.Get() != nil:
		h = resp.Get().Header
		op.Results = []history.Result{rangeResult((*pb.RangeResponse)(resp.Get()))}
	case resp.Del() != nil:
		h = resp.Del().Header
		op.Results = []history.Result{{Deleted: resp.Del().Deleted, KVs: previous(resp.Del().PrevKvs...)}}
	case resp.Txn() != nil:
		h = resp.Txn().Header
		op.Succeeded = resp.Txn().Succeeded
		op.Results = txnResults(resp.Txn().Responses)
	}
	op.Revision, op.RaftTerm, op.MemberID = h.Revision, h.RaftTerm, h.MemberId
	branch := op.Then
	if op.Kind == history.KindTxn && !op.Succeeded {
		branch = op.Else
	}
	c.remember(branch, op.Results, op.Revision)
}

func txnResults(responses []*pb.ResponseOp) []history.Result {
	var out []history.Result
	for _, r := range responses {
		out = append(out, txnResult(r))
	}
	return out
}

func txnResult(r *pb.ResponseOp) history.Result {
	switch {
	case r.GetResponseRange() != nil:
		return rangeResult(r.GetResponseRange())
	case r.GetResponsePut() != nil:
		return history.Result{KVs: previous(r.GetResponsePut().PrevKv)}
	case r.GetResponseDeleteRange() != nil:
		d := r.GetResponseDeleteRange()
		return history.Result{Deleted: d.Deleted, KVs: previous(d.PrevKvs...)}
	case r.GetResponseTxn() != nil:
		t := r.GetResponseTxn()
		return history.Result{Succeeded: t.Succeeded, Results: txnResults(t.Responses)}
	}
	return history.Result{}
}

func rangeResult(r *pb.RangeResponse) history.Result {
	return history.Result{Count: r.Count, More: r.More, KVs: previous(r.Kvs...)}
}

// previous are the keys of an answer; what was not there is nil.
func previous(kvs ...*mvccpb.KeyValue) []history.KV {
	var out []history.KV
	for _, kv := range kvs {
		if kv != nil {
			out = append(out, toKV(kv))
		}
	}
	return out
}

func toKV(kv *mvccpb.KeyValue) history.KV {
	return history.KV{
		Key: string(kv.Key), Value: string(kv.Value), Lease: kv.Lease,
		CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version,
	}
}

// remember takes in what an acknowledged branch tells of its keys.
//
// Other clients' locks come and go under new names: what is seen is bounded.
func (c *client) remember(branch []history.Request, results []history.Result, revision int64) {
	if len(c.seen) > 1000+2*c.load.opts.Profile.Keys {
		clear(c.seen)
	}
	for i := range min(len(branch), len(results)) {
		r, res := &branch[i], &results[i]
		switch r.Verb {
		case history.Put:
			c.seen[r.Key] = revision
		case history.Delete:
			delete(c.seen, r.Key)
			if res.Deleted > 0 {
				c.load.newest.deleted(revision)
			}
		case history.Range:
			if r.Revision != 0 {
				break
			}
			if r.End == "" && len(res.KVs) == 0 && !r.CountOnly {
				delete(c.seen, r.Key)
			}
			for _, kv := range res.KVs {
				c.seen[kv.Key] = kv.ModRevision
			}
		case history.Txn:
			if res.Succeeded {
				c.remember(r.Txn.Then, res.Results, revision)
			} else {
				c.remember(r.Txn.Else, res.Results, revision)
			}
		}
	}
}
