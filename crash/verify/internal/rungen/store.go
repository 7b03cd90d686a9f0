// Package rungen owns made-up runs for the checkers' tests: a model of etcd's
// store under concurrent clients, time-outs and faults, written as a real run
// directory with real bbolt, WAL and snapshot files. It shares no code with
// the checkers, so that a misreading of etcd's rules is not made twice.
package rungen

import (
	"slices"
	"sort"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

// Record is one record of the key bucket.
type Record struct {
	Main, Sub int64
	Tombstone bool
	KV        history.KV
}

// store is a multi-version map, as etcd's is.
type store struct {
	rev      int64
	records  []Record
	versions map[string][]int // records of a key, oldest first
	keys     []string         // sorted
}

func newStore() *store { return &store{rev: 1, versions: make(map[string][]int)} }

// at gives a key's live value at a revision, including what the transaction
// under way has written as revision rev+1 when asked for that.
func (s *store) at(key string, rev int64) (history.KV, bool) {
	vs := s.versions[key]
	i := sort.Search(len(vs), func(i int) bool { return s.records[vs[i]].Main > rev })
	if i == 0 {
		return history.KV{}, false
	}
	r := &s.records[vs[i-1]]
	return r.KV, !r.Tombstone
}

func (s *store) scan(key, end string, rev int64) []history.KV {
	if end == "" {
		if kv, ok := s.at(key, rev); ok {
			return []history.KV{kv}
		}
		return nil
	}
	var kvs []history.KV
	for i, _ := slices.BinarySearch(s.keys, key); i < len(s.keys) && (end == "\x00" || s.keys[i] < end); i++ {
		if kv, ok := s.at(s.keys[i], rev); ok {
			kvs = append(kvs, kv)
		}
	}
	return kvs
}

func (s *store) add(r Record) {
	vs, known := s.versions[r.KV.Key]
	if !known {
		i, _ := slices.BinarySearch(s.keys, r.KV.Key)
		s.keys = slices.Insert(s.keys, i, r.KV.Key)
	}
	s.versions[r.KV.Key] = append(vs, len(s.records))
	s.records = append(s.records, r)
}

// tx runs requests at one revision.
type tx struct {
	s    *store
	main int64
	sub  int64
}

func (t *tx) now() int64 {
	if t.sub > 0 {
		return t.main
	}
	return t.main - 1
}

func (t *tx) run(reqs []history.Request) []history.Result {
	results := make([]history.Result, len(reqs))
	for i := range reqs {
		r, res := &reqs[i], &results[i]
		switch r.Verb {
		case history.Put:
			kv := history.KV{Key: r.Key, Value: r.Value, CreateRevision: t.main, ModRevision: t.main, Version: 1}
			if old, ok := t.s.at(r.Key, t.now()); ok {
				kv.CreateRevision, kv.Version = old.CreateRevision, old.Version+1
			}
			t.s.add(Record{Main: t.main, Sub: t.sub, KV: kv})
			t.sub++
		case history.Delete:
			for _, kv := range t.s.scan(r.Key, r.End, t.now()) {
				t.s.add(Record{Main: t.main, Sub: t.sub, Tombstone: true, KV: history.KV{Key: kv.Key}})
				t.sub++
				res.Deleted++
			}
		case history.Range:
			rev := r.Revision
			if rev == 0 {
				rev = t.now()
			}
			t.s.read(r, rev, res)
		}
	}
	return results
}

func (s *store) read(r *history.Request, rev int64, res *history.Result) {
	res.KVs = s.scan(r.Key, r.End, rev)
	res.Count = int64(len(res.KVs))
	if r.Limit > 0 && res.Count > r.Limit {
		res.KVs, res.More = res.KVs[:r.Limit], true
	}
}

func (s *store) holds(cs []history.Compare, rev int64) bool {
	for i := range cs {
		c := &cs[i]
		kv, ok := s.at(c.Key, rev)
		order := 0
		switch c.Target {
		case history.CompareValue:
			if !ok {
				return false
			}
			order = strings.Compare(kv.Value, c.Value)
		case history.CompareVersion:
			order = sign(kv.Version - c.Number)
		case history.CompareCreate:
			order = sign(kv.CreateRevision - c.Number)
		case history.CompareMod:
			order = sign(kv.ModRevision - c.Number)
		}
		if !relation(c.Result, order) {
			return false
		}
	}
	return true
}

func relation(r history.CompareResult, order int) bool {
	switch r {
	case history.Equal:
		return order == 0
	case history.Greater:
		return order > 0
	case history.Less:
		return order < 0
	}
	return order != 0
}

func sign(n int64) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

// apply runs an operation and fills in its answer. wrote says that it took a
// revision of its own.
func (s *store) apply(op *history.Op) (wrote bool) {
	reqs := op.Then
	op.Succeeded = false
	if op.Kind == history.KindTxn {
		if op.Succeeded = s.holds(op.Compares, s.rev); !op.Succeeded {
			reqs = op.Else
		}
	}
	t := &tx{s: s, main: s.rev + 1}
	op.Results = t.run(reqs)
	if t.sub > 0 {
		s.rev++
	}
	op.Revision = s.rev
	return t.sub > 0
}

// applyAt answers a read from the state at an older revision, as a member that
// lags behind does.
func (s *store) applyAt(op *history.Op, rev int64) {
	op.Results = make([]history.Result, len(op.Then))
	for i := range op.Then {
		s.read(&op.Then[i], rev, &op.Results[i])
	}
	op.Revision = rev
}
