package second

import "github.com/etcdlab/etcdlab/crash/history"

// Rename gives copies of operations with other values, for a caller that knows a
// store's values by their hashes alone. The empty value stays what it is: answers
// of keys only have it. ok is false if an operation depends on the order of
// values, which names do not keep.
func Rename(ops []history.Op, name func(value string) string) (out []history.Op, ok bool) {
	n := renamer{name: name, ok: true}
	out = make([]history.Op, len(ops))
	for i := range ops {
		o := ops[i]
		b := n.branches(&history.Branches{Compares: o.Compares, Then: o.Then, Else: o.Else})
		o.Compares, o.Then, o.Else = b.Compares, b.Then, b.Else
		o.Results = n.results(o.Results)
		out[i] = o
	}
	return out, n.ok
}

type renamer struct {
	name func(string) string
	ok   bool
}

func (n *renamer) value(v string) string {
	if v == "" {
		return ""
	}
	return n.name(v)
}

func (n *renamer) branches(b *history.Branches) *history.Branches {
	out := &history.Branches{Then: n.requests(b.Then), Else: n.requests(b.Else)}
	for _, c := range b.Compares {
		if c.Target == history.CompareValue {
			n.ok = n.ok && (c.Result == history.Equal || c.Result == history.NotEqual)
			c.Value = n.value(c.Value)
		}
		out.Compares = append(out.Compares, c)
	}
	return out
}

func (n *renamer) requests(reqs []history.Request) (out []history.Request) {
	for _, r := range reqs {
		switch r.Verb {
		case history.Put:
			r.Value = n.value(r.Value)
		case history.Range:
			n.ok = n.ok && r.Sort != history.SortValue
		case history.Txn:
			r.Txn = n.branches(r.Txn)
		}
		out = append(out, r)
	}
	return out
}

func (n *renamer) results(results []history.Result) (out []history.Result) {
	for _, r := range results {
		kvs := r.KVs
		r.KVs = nil
		for _, kv := range kvs {
			kv.Value = n.value(kv.Value)
			r.KVs = append(r.KVs, kv)
		}
		r.Results = n.results(r.Results)
		out = append(out, r)
	}
	return out
}
