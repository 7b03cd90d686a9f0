package rungen

import (
	"errors"
	"fmt"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/model"
)

// errNoAnswer: etcd would wait, and the client give up.
var errNoAnswer = errors.New("context deadline exceeded")

const second = 1000 * ms

// lease is what the leader knows of one beside the store.
type lease struct {
	ttl      int64 // seconds
	deadline int64
}

// special draws an operation that old options do not have; false: none this time.
func (s *sim) special(op *history.Op) bool {
	n := s.r.IntN(1000)
	switch {
	case n < s.o.Compact:
		op.Kind = history.KindCompact
		op.Call = &history.Call{Revision: max(1, s.s.Revision-s.r.Int64N(40)), Physical: s.r.IntN(2) == 0}
	case n < s.o.Compact+10*s.o.Leases:
		s.leaseOp(op)
	case s.o.Wide:
		if s.r.IntN(3) == 0 {
			op.Member = s.run.Meta.Members[s.r.IntN(s.o.Members)].Name
		}
		s.draw.Draw(op)
	default:
		return false
	}
	return true
}

func (s *sim) leaseOp(op *history.Op) {
	op.Call = &history.Call{Lease: s.aLease()}
	switch n := s.r.IntN(100); {
	case n < 30 || op.Call.Lease == 0:
		op.Kind = history.KindLeaseGrant
		// IDs are the client's own, so that a grant of unknown outcome can be told.
		op.Call.Lease = 0x7000 + int64(op.ID)
		op.Call.TTL = []int64{1, 2, 3, 60, 600}[s.r.IntN(5)]
		s.ids = append(s.ids, op.Call.Lease)
	case n < 65:
		op.Kind = history.KindLeaseKeepAlive
	case n < 80:
		op.Kind = history.KindLeaseRevoke
	case n < 95:
		op.Kind = history.KindLeaseTTL
	default:
		op.Kind, op.Call.Lease = history.KindLeases, 0
	}
}

// aLease is one of the last that were granted, or 0.
func (s *sim) aLease() int64 {
	if len(s.ids) == 0 || s.r.IntN(3) == 0 {
		return 0
	}
	return s.ids[max(0, len(s.ids)-1-s.r.IntN(6))]
}

// call runs an operation that is not of the KV service.
func (s *sim) call(op *history.Op) error {
	l := s.leases[op.Call.Lease]
	if l != nil && s.now >= l.deadline && op.Kind != history.KindLeaseRevoke && op.Kind != history.KindLeaseGrant {
		return errNoAnswer // its end is on its way; etcd waits for it
	}
	if err := s.s.apply(op); err != nil {
		return err
	}
	switch op.Kind {
	case history.KindLeaseGrant:
		l = &lease{ttl: op.Call.TTL, deadline: s.now + op.Call.TTL*second}
		s.leases[op.Call.Lease] = l
		s.expire(op.Call.Lease, l)
	case history.KindLeaseRevoke:
		delete(s.leases, op.Call.Lease)
	case history.KindLeaseKeepAlive:
		if l != nil {
			l.deadline = s.now + l.ttl*second
		}
	case history.KindLeaseTTL:
		if l != nil {
			op.Call.TTL = (l.deadline - s.now) / second
		}
	}
	return nil
}

// expire ends a lease once its time is over: the leader finds out at most twice a
// second, and has the end go through the log.
func (s *sim) expire(id int64, l *lease) {
	if l.ttl > 10 {
		return // longer than any run
	}
	s.after(l.deadline-s.now+s.r.Int64N(second/2), func() {
		switch {
		case s.leases[id] != l || s.active == 0:
		case s.down || s.now < l.deadline:
			s.after(30*ms, func() { s.expire(id, l) })
		default:
			delete(s.leases, id)
			s.run.propose(&history.Op{Kind: history.KindLeaseRevoke, Call: &history.Call{Lease: id}})
			s.s.take(s.s.End(id))
		}
	})
}

// promoted gives every lease its whole time again, as a new leader does.
func (s *sim) promoted() {
	for _, l := range s.leases {
		l.deadline = max(l.deadline, s.now+l.ttl*second)
	}
}

func (s *sim) drawer() *model.Drawer {
	d := &model.Drawer{
		R: s.r, RunID: s.run.Meta.ID, Prefix: s.run.Meta.Prefix, Keys: s.o.Keys, Size: s.o.Value, Nested: 2, Odd: s.o.Odd,
		Revision: func() int64 {
			rev := max(s.run.Meta.Base.Revision, s.s.Revision-s.r.Int64N(20))
			if s.r.IntN(10) > 0 {
				rev = max(rev, s.s.Compacted)
			}
			return rev
		},
		Seen: func(key string) int64 { return s.seen[key] },
	}
	if s.o.Leases > 0 {
		d.Lease = s.aLease
	}
	return d
}

func (s *sim) keyRange() (string, string) {
	n := s.r.IntN(s.o.Keys)
	switch s.r.IntN(3) {
	case 0:
		return s.keyN(n), ""
	case 1:
		return s.keyN(n), s.keyN(n + 1 + s.r.IntN(s.o.Keys))
	}
	return s.run.Meta.Prefix, PrefixEnd(s.run.Meta.Prefix)
}

// restart takes one member away for a while; the others serve on.
func (s *sim) restart() {
	m := s.run.Meta.Members[s.r.IntN(s.o.Members)].Name
	if s.down || len(s.away) > 0 || s.o.Members < 3 {
		return
	}
	s.away[m] = true
	s.run.event(s.now, history.Event{Kind: history.EventKilled, Member: m, Message: fmt.Sprintf("restart of %s", m)})
	s.after(20*ms, func() { s.run.event(s.now, history.Event{Kind: history.EventStarted, Member: m}) })
	s.after(40*ms, func() {
		s.run.event(s.now, history.Event{Kind: history.EventServing, Member: m})
		delete(s.away, m)
	})
}
