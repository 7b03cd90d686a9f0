package traffic

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/etcdlab/etcdlab/crash/history"
)

var lockOperations = []Operation{
	{"lock", "a session, a lock, writes guarded by it, unlock; one in ten lets the session expire first", (*client).lock},
	{"election", "a session, a campaign, a proclamation, a resignation; one in ten lets the session expire first", (*client).election},
	{"leader", "who leads an election", (*client).leader},
}

// sessionTTL, in seconds: short, so that some expire while the load goes on.
const sessionTTL = 2

// names are few, so that clients meet.
const names = 5

func (c *client) lockName() string {
	return fmt.Sprintf("%s%s%d", c.load.opts.Prefix, history.LockPrefix, c.rng.IntN(names))
}

func (c *client) electionName() string {
	return fmt.Sprintf("%s%s%d", c.load.opts.Prefix, history.ElectionPrefix, c.rng.IntN(names))
}

// held does an operation of the concurrency package; ask fills in the call from
// its own objects. nil: the load is over.
func (c *client) held(ctx context.Context, s *session, kind history.Kind, call history.Call, ask func(context.Context, *history.Call) error) *history.Op {
	op := c.begin(ctx)
	if op == nil {
		return nil
	}
	call.Lease = s.id
	op.Kind, op.Call = kind, &call
	s.spy.forget()
	short, cancel := c.bounded(ctx, c.load.opts.Timeout)
	defer cancel()
	op.Invoke = now()
	err := ask(short, op.Call)
	op.Return = now()
	switch {
	case err == nil:
		op.Outcome = history.OK
		if h := s.spy.header; h != nil {
			op.Revision, op.RaftTerm, op.MemberID = h.Revision, h.RaftTerm, h.MemberId
		}
	case errors.Is(err, concurrency.ErrElectionNotLeader), errors.Is(err, concurrency.ErrElectionNoLeader), errors.Is(err, concurrency.ErrLockReleased):
		op.Outcome, op.Error = history.Failed, err.Error()
	default:
		refused(op, err)
		if s.spy.sent {
			// It gave up after its key was written, or may have been.
			op.Outcome = history.Unknown
		}
	}
	if !c.finish(ctx, op) {
		return nil
	}
	return op
}

func (c *client) lock(ctx context.Context) bool {
	s, goOn := c.openSession(ctx, sessionTTL)
	if s == nil {
		return goOn
	}
	// Ends beside the load, too: a lease that nobody revokes ends by itself.
	defer s.abandon()
	name := c.lockName()
	m := concurrency.NewMutex(s.Session, name)
	op := c.held(ctx, s, history.KindLock, history.Call{Name: name}, func(ctx context.Context, call *history.Call) error {
		err := m.Lock(ctx)
		call.Key, call.Revision = fmt.Sprintf("%s/%x", name, s.id), s.spy.created
		return err
	})
	if op == nil {
		return false
	}
	if op.Outcome != history.OK {
		s.abandon()
		return c.revokeOf(ctx, s.id)
	}
	owner, fence := op.Call.Key, op.Call.Revision
	expire := c.rng.IntN(10) == 0
	if expire {
		s.abandon()
		if !c.sleep(ctx, c.load.opts.slow(sessionTTL*time.Second+time.Duration(c.rng.IntN(1000))*time.Millisecond)) {
			return false
		}
	}
	for range 1 + c.rng.IntN(3) {
		if !c.kv(ctx, func(op *history.Op) { guarded(c, op, owner, fence) }) {
			return false
		}
	}
	if c.held(ctx, s, history.KindUnlock, history.Call{Name: name, Key: owner, Revision: fence}, func(ctx context.Context, _ *history.Call) error {
		return m.Unlock(ctx)
	}) == nil {
		return false
	}
	s.abandon()
	return c.revokeOf(ctx, s.id)
}

// guarded writes a key only while the lock is held: the fence is the create
// revision of the owner's key.
func guarded(c *client, op *history.Op, owner string, fence int64) {
	op.Kind = history.KindTxn
	op.Compares = []history.Compare{{Key: owner, Target: history.CompareCreate, Result: history.Equal, Number: fence}}
	key := c.anyKey()
	op.Then = []history.Request{{Verb: history.Put, Key: key}}
	op.Else = []history.Request{{Verb: history.Range, Key: owner}}
}

func (c *client) election(ctx context.Context) bool {
	s, goOn := c.openSession(ctx, sessionTTL)
	if s == nil {
		return goOn
	}
	defer s.abandon()
	name := c.electionName()
	e := concurrency.NewElection(s.Session, name)
	value := fmt.Sprintf("%s/%d/%x", c.load.opts.RunID, c.id, s.id)
	op := c.held(ctx, s, history.KindCampaign, history.Call{Name: name, Value: value}, func(ctx context.Context, call *history.Call) error {
		err := e.Campaign(ctx, value)
		call.Key, call.Revision = fmt.Sprintf("%s/%x", name, s.id), s.spy.created
		return err
	})
	if op == nil {
		return false
	}
	if op.Outcome == history.OK && !c.lead(ctx, s, e, op.Call) {
		return false
	}
	s.abandon()
	return c.revokeOf(ctx, s.id)
}

// lead proclaims once and resigns.
func (c *client) lead(ctx context.Context, s *session, e *concurrency.Election, won *history.Call) bool {
	if c.rng.IntN(10) == 0 {
		s.abandon()
		if !c.sleep(ctx, c.load.opts.slow(sessionTTL*time.Second+time.Duration(c.rng.IntN(1000))*time.Millisecond)) {
			return false
		}
	}
	fence := history.Call{Name: won.Name, Key: won.Key, Revision: won.Revision}
	said := fence
	said.Value = won.Value + "/proclaimed"
	op := c.held(ctx, s, history.KindProclaim, said, func(ctx context.Context, _ *history.Call) error {
		return e.Proclaim(ctx, said.Value)
	})
	if op == nil {
		return false
	}
	if op.Outcome != history.OK {
		// The election has forgotten its key: there is nothing to resign from.
		return true
	}
	return c.held(ctx, s, history.KindResign, fence, func(ctx context.Context, _ *history.Call) error {
		return e.Resign(ctx)
	}) != nil
}

// leader asks for the oldest key of an election, as the concurrency package
// does, which would not give the revision at which nobody led.
func (c *client) leader(ctx context.Context) bool {
	name := c.electionName()
	s := &session{spy: &spyKV{KV: c.etcd.KV, timeout: c.load.opts.Timeout}}
	return c.held(ctx, s, history.KindLeader, history.Call{Name: name}, func(ctx context.Context, call *history.Call) error {
		r, err := s.spy.Get(ctx, name+"/", clientv3.WithFirstCreate()...)
		if err == nil && len(r.Kvs) > 0 {
			kv := r.Kvs[0]
			call.Key, call.Value, call.Revision, call.Lease = string(kv.Key), string(kv.Value), kv.CreateRevision, kv.Lease
		}
		return err
	}) != nil
}
