package wire

import (
	"context"
	"errors"
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
	rules   ruleSet
	begun   int // connections
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

// Set replaces the rules of an owner, "" of all.
func (s *Streams) Set(owner string, rules []lab.NetRule, seed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules.set(owner, rules, seed)
	for _, r := range s.rules {
		if !r.patient {
			r.patient, r.before = true, s.begun
		}
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// Add adds what was done to streams to what the same rules did to frames.
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
// bytes, when it may begin. It waits for as long as a rule drops them; what waits
// when the rules change goes on by the new ones.
func (s *Streams) Pass(ctx context.Context, connection int, to Direction, n int) error {
	for {
		s.mu.Lock()
		v, reset := s.decide(connection, to, n)
		changed := s.changed
		s.mu.Unlock()
		if reset {
			return ErrReset
		}
		var passes <-chan time.Time // never
		if len(v.at) > 0 {
			wait := time.Until(v.at[0])
			if wait <= 0 {
				return nil
			}
			timer := time.NewTimer(wait)
			defer timer.Stop()
			passes = timer.C
		}
		select {
		case <-passes:
			return nil
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Streams) decide(connection int, to Direction, n int) (v verdict, reset bool) {
	about := s.rules.match(func(r *rule) bool {
		return ofClients(r.NetRule) && (r.Direction == "" || r.Direction == to.String())
	})
	v = judge(about, time.Now(), func(r *rule, at time.Time) verdict {
		switch {
		case r.Action == lab.NetShape:
			return r.shape(&r.flows[to], n, at)
		case r.Action == lab.NetReset && connection > r.before:
			return verdict{at: []time.Time{at}}
		}
		reset = reset || r.Action != lab.NetDrop
		return verdict{hit: true}
	})
	return v, reset
}
