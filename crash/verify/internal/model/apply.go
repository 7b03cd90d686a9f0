package model

import (
	"errors"
	"fmt"
	"maps"

	"github.com/etcdlab/etcdlab/crash/history"
)

// What etcd refuses with.
var (
	ErrCompacted     = errors.New("etcdserver: mvcc: required revision has been compacted")
	ErrFuture        = errors.New("etcdserver: mvcc: required revision is a future revision")
	ErrLeaseNotFound = errors.New("etcdserver: requested lease not found")
	ErrLeaseExists   = errors.New("etcdserver: lease already exists")
	// ErrForgotten is not etcd's: the model does not know a revision that was read
	// at. All else of the answer and of the store after it is right.
	ErrForgotten = errors.New("the model does not know the revision asked for")
)

// Forgotten is the count of a range at a revision that the model does not know.
const Forgotten = -1

// Answer is what etcd answers an operation with.
type Answer struct {
	Revision  int64 // of the header
	Succeeded bool
	Results   []history.Result
	Call      *history.Call
}

// Apply runs an operation, gives its answer and the store after it. With one
// of etcd's refusals the store stays as it was. Operations that have
// nothing to do with keys, leases or compaction are errors.
func (s *State) Apply(op *history.Op) (*State, Answer, error) {
	switch op.Kind {
	case history.KindKV, history.KindTxn:
		return s.write(op)
	}
	a := Answer{Revision: s.Revision}
	if op.Call == nil {
		return s, a, fmt.Errorf("operation %d has no call", op.ID)
	}
	call := *op.Call
	a.Call = &call
	next := *s
	switch op.Kind {
	case history.KindCompact:
		switch {
		case call.Revision <= s.Compacted:
			return s, a, ErrCompacted
		case call.Revision > s.Revision:
			return s, a, ErrFuture
		}
		next.Compacted = call.Revision
	case history.KindLeaseGrant:
		if s.leases[call.Lease] > 0 {
			return s, a, ErrLeaseExists
		}
		next.leases = maps.Clone(s.leases)
		if next.leases == nil {
			next.leases = make(map[int64]int64)
		}
		next.leases[call.Lease] = call.TTL
	case history.KindLeaseRevoke:
		if s.leases[call.Lease] == 0 {
			return s, a, ErrLeaseNotFound
		}
		ended := s.End(call.Lease)
		a.Revision = ended.Revision
		return ended, a, nil
	case history.KindLeaseKeepAlive:
		call.TTL = s.leases[call.Lease]
	case history.KindLeaseTTL:
		call.TTL, call.Granted, call.List = s.leases[call.Lease], s.leases[call.Lease], s.Attached(call.Lease)
		if call.TTL == 0 {
			call.TTL = -1
		}
	case history.KindLeases:
		call.List = nil
		for _, id := range s.Leases() {
			call.List = append(call.List, fmt.Sprintf("%016x", uint64(id)))
		}
	default:
		return s, a, fmt.Errorf("operation %d is of kind %d, which has nothing to do with the store", op.ID, op.Kind)
	}
	return &next, a, nil
}

// End is the store after a lease is revoked or has expired: its keys are deleted
// in order, all in one revision, and none if it has none.
func (s *State) End(lease int64) *State {
	t := &tx{s: s, kvs: s.kvs}
	for _, key := range s.Attached(lease) {
		t.delete(key, "")
	}
	next := *t.done()
	next.leases = maps.Clone(s.leases)
	delete(next.leases, lease)
	return &next
}

func (s *State) write(op *history.Op) (*State, Answer, error) {
	t := &tx{s: s, kvs: s.kvs}
	whole := &history.Branches{Then: op.Then}
	if op.Kind == history.KindTxn {
		whole = &history.Branches{Compares: op.Compares, Then: op.Then, Else: op.Else}
	}
	path := s.path(whole)
	if err := s.check(path); err != nil {
		return s, Answer{Revision: s.Revision}, err
	}
	a := Answer{Results: t.run(path), Succeeded: path.held && op.Kind == history.KindTxn}
	next := t.done()
	a.Revision = next.Revision
	if t.forgot {
		return next, a, ErrForgotten
	}
	return next, a, nil
}
