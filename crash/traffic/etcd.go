package traffic

import (
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/crash/history"
)

// toEtcd is what an operation of the KV service asks, in etcd's own types.
func toEtcd(op *history.Op) clientv3.Op {
	if op.Kind == history.KindKV {
		return request(op.Then[0])
	}
	return transaction(history.Branches{Compares: op.Compares, Then: op.Then, Else: op.Else})
}

func transaction(b history.Branches) clientv3.Op {
	var cmps []clientv3.Cmp
	for _, c := range b.Compares {
		cmps = append(cmps, compare(c))
	}
	return clientv3.OpTxn(cmps, requests(b.Then), requests(b.Else))
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
	if r.Prev {
		opts = append(opts, clientv3.WithPrevKV())
	}
	switch r.Verb {
	case history.Put:
		if r.Lease != 0 {
			opts = append(opts, clientv3.WithLease(clientv3.LeaseID(r.Lease)))
		}
		return clientv3.OpPut(r.Key, r.Value, opts...)
	case history.Delete:
		return clientv3.OpDelete(r.Key, opts...)
	case history.Txn:
		return transaction(*r.Txn)
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
	if r.KeysOnly {
		opts = append(opts, clientv3.WithKeysOnly())
	}
	if r.CountOnly {
		opts = append(opts, clientv3.WithCountOnly())
	}
	if r.Order != history.NoOrder || r.Sort != history.SortKey {
		opts = append(opts, clientv3.WithSort(sorts[r.Sort], directions[r.Order]))
	}
	return clientv3.OpGet(r.Key, opts...)
}

var sorts = map[history.Target]clientv3.SortTarget{
	history.SortKey: clientv3.SortByKey, history.SortVersion: clientv3.SortByVersion,
	history.SortCreate: clientv3.SortByCreateRevision, history.SortMod: clientv3.SortByModRevision,
	history.SortValue: clientv3.SortByValue,
}

var directions = map[history.Order]clientv3.SortOrder{
	history.NoOrder: clientv3.SortNone, history.Ascend: clientv3.SortAscend, history.Descend: clientv3.SortDescend,
}

var relations = map[history.CompareResult]string{
	history.Equal: "=", history.Greater: ">", history.Less: "<", history.NotEqual: "!=",
}

func compare(c history.Compare) clientv3.Cmp {
	op := relations[c.Result]
	var cmp clientv3.Cmp
	switch c.Target {
	case history.CompareValue:
		cmp = clientv3.Compare(clientv3.Value(c.Key), op, c.Value)
	case history.CompareVersion:
		cmp = clientv3.Compare(clientv3.Version(c.Key), op, c.Number)
	case history.CompareCreate:
		cmp = clientv3.Compare(clientv3.CreateRevision(c.Key), op, c.Number)
	case history.CompareLease:
		cmp = clientv3.Compare(clientv3.LeaseValue(c.Key), op, c.Number)
	default:
		cmp = clientv3.Compare(clientv3.ModRevision(c.Key), op, c.Number)
	}
	if c.End != "" {
		cmp = cmp.WithRange(c.End)
	}
	return cmp
}
