package model

import (
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

// path is which side of a transaction, and of those nested in that side, runs.
// etcd decides it all on the store before the outermost one.
type path struct {
	held   bool
	branch []history.Request
	nested []*path // by request; nil of one that is no transaction
}

func (s *State) path(b *history.Branches) *path {
	p := &path{held: s.holds(b.Compares), branch: b.Then}
	if !p.held {
		p.branch = b.Else
	}
	p.nested = make([]*path, len(p.branch))
	for i := range p.branch {
		if p.branch[i].Verb == history.Txn {
			p.nested[i] = s.path(p.branch[i].Txn)
		}
	}
	return p
}

// check refuses a path as a whole, before any of it runs.
func (s *State) check(p *path) error {
	for i := range p.branch {
		switch r := &p.branch[i]; r.Verb {
		case history.Put:
			if r.Lease != 0 && s.leases[r.Lease] == 0 {
				return ErrLeaseNotFound
			}
		case history.Range:
			switch {
			case r.Revision > s.Revision:
				return ErrFuture
			case r.Revision > 0 && r.Revision < s.Compacted:
				return ErrCompacted
			}
		case history.Txn:
			if err := s.check(p.nested[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// tx is one revision in the making.
type tx struct {
	s       *State
	kvs     []*history.KV // the live keys as they are by now
	owned   bool          // kvs is no longer the state's own
	changes []Change
	forgot  bool // a range asked for a revision that the model does not know
}

// run does the requests in order: later ones see what earlier ones did.
func (t *tx) run(p *path) []history.Result {
	out := make([]history.Result, len(p.branch))
	for i := range p.branch {
		r := &p.branch[i]
		switch r.Verb {
		case history.Put:
			prev := t.put(r)
			if r.Prev && prev != nil {
				out[i].KVs = []history.KV{*prev}
			}
		case history.Delete:
			if r.Prev {
				out[i].KVs = values(span(t.kvs, r.Key, r.End))
			}
			out[i].Deleted = t.delete(r.Key, r.End)
		case history.Range:
			out[i] = t.read(r)
		case history.Txn:
			out[i] = history.Result{Succeeded: p.nested[i].held, Results: t.run(p.nested[i])}
		}
	}
	return out
}

func (t *tx) own() {
	if !t.owned {
		t.kvs, t.owned = slices.Clone(t.kvs), true
	}
}

func (t *tx) put(r *history.Request) (prev *history.KV) {
	t.own()
	rev := t.s.Revision + 1
	kv := &history.KV{Key: r.Key, Value: r.Value, CreateRevision: rev, ModRevision: rev, Version: 1, Lease: r.Lease}
	i, found := slices.BinarySearchFunc(t.kvs, kv, byKey)
	if found {
		prev = t.kvs[i]
		kv.CreateRevision, kv.Version = prev.CreateRevision, prev.Version+1
		t.kvs[i] = kv
	} else {
		t.kvs = slices.Insert(t.kvs, i, kv)
	}
	t.changes = append(t.changes, Change{KV: *kv, Prev: prev})
	return prev
}

func (t *tx) delete(key, end string) int64 {
	gone := slices.Clone(span(t.kvs, key, end))
	if len(gone) == 0 {
		return 0
	}
	t.own()
	from, _ := slices.BinarySearchFunc(t.kvs, gone[0], byKey)
	t.kvs = slices.Delete(t.kvs, from, from+len(gone))
	for _, kv := range gone {
		t.changes = append(t.changes, Change{
			Tombstone: true, KV: history.KV{Key: kv.Key, ModRevision: t.s.Revision + 1}, Prev: kv,
		})
	}
	return int64(len(gone))
}

// done is the state after it all: the same one if nothing was written, for then
// it owns no revision.
func (t *tx) done() *State {
	if len(t.changes) == 0 {
		return t.s
	}
	return &State{
		Revision: t.s.Revision + 1, Compacted: t.s.Compacted, Changes: t.changes,
		kvs: t.kvs, leases: t.s.leases, before: t.s,
	}
}

func (s *State) holds(cs []history.Compare) bool {
	return !slices.ContainsFunc(cs, func(c history.Compare) bool { return !s.meets(&c) })
}

// meets says whether every key of a compare's interval meets it. No key at all
// counts as one of zeros, except that no value is like or unlike any other.
func (s *State) meets(c *history.Compare) bool {
	kvs := span(s.kvs, c.Key, c.End)
	if len(kvs) == 0 {
		return c.Target != history.CompareValue && relates(&history.KV{}, c)
	}
	return !slices.ContainsFunc(kvs, func(kv *history.KV) bool { return !relates(kv, c) })
}

func relates(kv *history.KV, c *history.Compare) bool {
	var order int
	switch c.Target {
	case history.CompareValue:
		order = strings.Compare(kv.Value, c.Value)
	case history.CompareVersion:
		order = sign(kv.Version, c.Number)
	case history.CompareCreate:
		order = sign(kv.CreateRevision, c.Number)
	case history.CompareMod:
		order = sign(kv.ModRevision, c.Number)
	case history.CompareLease:
		order = sign(kv.Lease, c.Number)
	}
	switch c.Result {
	case history.Equal:
		return order == 0
	case history.Greater:
		return order > 0
	case history.Less:
		return order < 0
	}
	return order != 0
}

func sign(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
