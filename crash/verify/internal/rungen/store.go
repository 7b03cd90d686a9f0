// Package rungen owns made-up runs for the checkers' tests: a model of etcd's
// store under concurrent clients, time-outs and faults, written as a real run
// directory with real bbolt, WAL and snapshot files. It shares no code with
// the checkers, so that a misreading of etcd's rules is not made twice.
package rungen

import (
	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/model"
)

// Record is one record of the key bucket.
type Record struct {
	Main, Sub int64
	Tombstone bool
	KV        history.KV
}

// store is the model's, with what it wrote.
type store struct {
	*model.State
	records []Record
	told    []model.Record // the same with what was there before; only if keep
	keep    bool
}

// horizon is how many revisions back reads may go in a long run.
const horizon = 4096

// take makes another state the store's and notes what its revision wrote.
func (s *store) take(next *model.State) {
	old := s.State
	s.State = next
	if next.Revision == old.Revision {
		return
	}
	for sub, c := range next.Changes {
		r := Record{Main: next.Revision, Sub: int64(sub), Tombstone: c.Tombstone, KV: c.KV}
		if c.Tombstone {
			r.KV = history.KV{Key: c.KV.Key}
		}
		s.records = append(s.records, r)
		if s.keep {
			s.told = append(s.told, model.Record{Main: next.Revision, Sub: int64(sub), Change: c})
		}
	}
	if next.Revision%horizon == 0 {
		next.Forget(horizon)
	}
}

// answer fills an answer into an operation.
func answer(op *history.Op, a model.Answer) {
	op.Revision, op.Succeeded, op.Results = a.Revision, a.Succeeded, a.Results
	if a.Call != nil {
		op.Call = a.Call
	}
}

// apply runs an operation and fills in its answer. The error is etcd's refusal.
func (s *store) apply(op *history.Op) error {
	next, a, err := s.Apply(op)
	if err != nil {
		return err
	}
	s.take(next)
	answer(op, a)
	return nil
}

// applyAt answers a read from the state at an older revision, as a member that
// lags behind does.
func (s *store) applyAt(op *history.Op, rev int64) error {
	old := s.At(rev)
	if old == nil {
		old = s.State
	}
	_, a, err := old.Apply(op)
	if err == nil {
		answer(op, a)
	}
	return err
}
