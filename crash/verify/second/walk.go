package second

import "github.com/etcdlab/etcdlab/crash/history"

// each calls f with every interval that a transaction may touch, on whichever
// side, and says whether it is only read.
func each(b *history.Branches, f func(key, end string, reads bool)) {
	for i := range b.Compares {
		f(b.Compares[i].Key, b.Compares[i].End, false)
	}
	for _, side := range [2][]history.Request{b.Then, b.Else} {
		for i := range side {
			if r := &side[i]; r.Verb == history.Txn {
				each(r.Txn, f)
			} else {
				f(r.Key, r.End, r.Verb == history.Range)
			}
		}
	}
}

func eachRequest(sides [2][]history.Request, f func(*history.Request)) {
	for _, side := range sides {
		for i := range side {
			if r := &side[i]; r.Verb == history.Txn {
				eachRequest([2][]history.Request{r.Txn.Then, r.Txn.Else}, f)
			} else {
				f(r)
			}
		}
	}
}

func eachPut(o *history.Op, f func(*history.Request)) {
	eachRequest([2][]history.Request{o.Then, o.Else}, func(r *history.Request) {
		if r.Verb == history.Put {
			f(r)
		}
	})
}

// writes says whether an operation asks for a write on any side.
func writes(o *history.Op) (yes bool) {
	eachRequest([2][]history.Request{o.Then, o.Else}, func(r *history.Request) { yes = yes || r.Verb != history.Range })
	return yes
}

// owns says whether an acknowledged operation took a revision: a put did, and a
// delete of something.
func owns(o *history.Op) bool {
	side := o.Then
	if o.Kind == history.KindTxn && !o.Succeeded {
		side = o.Else
	}
	return wrote(side, o.Results)
}

func wrote(side []history.Request, results []history.Result) bool {
	for i := range min(len(side), len(results)) {
		r, res := &side[i], &results[i]
		switch r.Verb {
		case history.Put:
			return true
		case history.Delete:
			if res.Deleted > 0 {
				return true
			}
		case history.Txn:
			nested := r.Txn.Then
			if !res.Succeeded {
				nested = r.Txn.Else
			}
			if wrote(nested, res.Results) {
				return true
			}
		}
	}
	return false
}

// serializable says whether a member may answer from what it has: etcd asks that
// of every request of a transaction, and a nested one is none.
func serializable(o *history.Op) bool {
	for _, side := range [2][]history.Request{o.Then, o.Else} {
		for i := range side {
			if side[i].Verb != history.Range || !side[i].Serializable {
				return false
			}
		}
	}
	return true
}
