package wire

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

// ErrReset says that a connection is to be reset.
var ErrReset = errors.New("a rule of the network says so")

// Streams applies rules to clients' connections where those are not frames but
// streams that somebody passes on: a virtual machine's. Nothing of a stream can
// be lost, doubled or overtaken.
type Streams struct {
	mu      sync.Mutex
	rules   []*rule
	begun   int // connections
	set     int // of those, before the rules came
	changed chan struct{}
}

// NewStreams has no rules.
func NewStreams() *Streams { return &Streams{changed: make(chan struct{})} }

// CanStream says why a rule cannot be applied to streams, or "". One about other
// members need not be.
func CanStream(r lab.NetRule) string {
	if ofClients(r) && r.Loss+r.Duplicate+r.Reorder > 0 {
		return "clients reach a virtual machine by a forwarded port, which is a stream of bytes: nothing of it can be lost, doubled or reordered; use side peer"
	}
	return ""
}

func ofClients(r lab.NetRule) bool { return r.Side != lab.NetPeer && len(r.Peers) == 0 }

// Set replaces the rules; the indices are those of the same rules of a Wire.
func (s *Streams) Set(rules []lab.NetRule, seed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
	for i, r := range rules {
		made := newRule(r, seed, i)
		made.patient = true
		s.rules = append(s.rules, made)
	}
	s.set = s.begun
	close(s.changed)
	s.changed = make(chan struct{})
}

// Add adds what was done to streams to what was done to frames.
func (s *Streams) Add(states []lab.NetRuleState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range s.rules[:min(len(s.rules), len(states))] {
		states[i].Packets += r.packets
		states[i].Hit += r.hit
	}
}

// Begin numbers a new connection.
func (s *Streams) Begin() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
	return s.begun
}

// Pass returns when n bytes of a connection may go on in that direction: with 0
// bytes, when it may begin. It waits for as long as a rule drops them.
func (s *Streams) Pass(ctx context.Context, connection int, to Direction, n int) error {
	for counted := false; ; counted = true {
		at, changed, err := s.decide(connection, to, n, counted)
		if err != nil {
			return err
		}
		wait := make(<-chan time.Time)
		if !at.IsZero() {
			if !at.After(time.Now()) {
				return nil
			}
			timer := time.NewTimer(time.Until(at))
			defer timer.Stop()
			wait = timer.C
		}
		select {
		case <-wait:
			return nil
		case <-changed: // perhaps healed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// decide gives when it passes, never if that is zero, and what tells that the
// rules have changed.
func (s *Streams) decide(connection int, to Direction, n int, counted bool) (at time.Time, changed <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	i := slices.IndexFunc(s.rules, func(r *rule) bool {
		return ofClients(r.NetRule) && (r.Direction == "" || r.Direction == to.String())
	})
	if i < 0 {
		return now, s.changed, nil
	}
	r, hit := s.rules[i], true
	switch r.Action {
	case lab.NetShape:
		v := r.shape(&r.flows[to], n, now)
		at, hit = v.at[0], v.hit
	case lab.NetReset:
		if hit = connection <= s.set; hit {
			err = ErrReset
		}
		at = now
	case lab.NetReject, lab.NetUnreachable:
		err = ErrReset
	}
	if !counted {
		r.packets++
		if hit {
			r.hit++
		}
	}
	return at, s.changed, err
}
