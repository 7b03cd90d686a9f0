// Package wire owns what a member's link does to packets: it reads frames,
// matches them with rules, drops, answers, doubles or delays them, and puts
// itself between a member and the switch that the member is plugged into.
//
// All of it is in user space, as a kernel need not have netem or nftables; it is
// in the way of frames only while there are rules.
package wire

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

// Direction is that of a frame, as the member sees it.
type Direction int

const (
	In Direction = iota
	Out
)

func (d Direction) String() string { return [...]string{lab.NetIn, lab.NetOut}[d] }

// Wire passes frames on, by rules. Pass may be called by several goroutines at
// once, as the functions that it sends with are.
type Wire struct {
	// header is how many bytes are before each frame, whose checksums may be left
	// to whoever takes it: struct virtio_net_hdr. A frame of our own has zeroes.
	header int
	send   [2]func([]byte) // what goes in that direction
	busy   atomic.Bool     // there are rules

	mu    sync.Mutex // guards what follows
	rules []*rule
	late  queue
	wake  chan struct{}
	quit  chan struct{}
	ended sync.WaitGroup
}

// New makes a wire without rules. Neither function keeps the frame.
func New(header int, toMember, toNetwork func(frame []byte)) *Wire {
	w := &Wire{header: header, send: [2]func([]byte){In: toMember, Out: toNetwork}, wake: make(chan struct{}, 1), quit: make(chan struct{})}
	w.ended.Go(w.deliver)
	return w
}

// Set replaces the rules. What an earlier one delayed comes when it was to come;
// without rules, at once.
func (w *Wire) Set(rules []lab.NetRule, seed uint64) {
	next := make([]*rule, len(rules))
	for i := range rules {
		next[i] = newRule(rules[i], seed, i)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rules = next
	w.busy.Store(len(next) > 0)
	if len(next) == 0 {
		w.late.hurry()
	}
	w.rouse()
}

// States gives the rules with what each did.
func (w *Wire) States() []lab.NetRuleState {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]lab.NetRuleState, len(w.rules))
	for i, r := range w.rules {
		out[i] = lab.NetRuleState{NetRule: r.NetRule, Packets: r.packets, Hit: r.hit}
	}
	return out
}

// Close sends what is late and ends.
func (w *Wire) Close() {
	w.Set(nil, 0)
	close(w.quit)
	w.ended.Wait()
	for _, f := range w.due(time.Now()) {
		w.send[f.to](f.data)
	}
}

// Pass takes a frame that goes in that direction, and keeps none of it.
func (w *Wire) Pass(to Direction, frame []byte) {
	if !w.busy.Load() {
		w.send[to](frame)
		return
	}
	p := parse(frame[w.header:])
	now := time.Now()
	w.mu.Lock()
	r := w.match(to, &p)
	if r == nil {
		w.mu.Unlock()
		w.send[to](frame)
		return
	}
	r.packets++
	v := r.judge(to, &p, len(frame)-w.header, now)
	if v.hit {
		r.hit++
	}
	copies := 0
	for _, at := range v.at {
		if at.After(now) {
			w.late.add(at, to, frame)
		} else {
			copies++
		}
	}
	w.rouse()
	w.mu.Unlock()
	for range copies {
		w.send[to](frame)
	}
	for _, a := range v.answers {
		w.send[a.to](append(make([]byte, w.header, w.header+len(a.frame)), a.frame...))
	}
}

// match is the first rule that is about a packet; the caller holds the lock.
func (w *Wire) match(to Direction, p *packet) *rule {
	if !p.ip || p.private() {
		return nil
	}
	for _, r := range w.rules {
		if r.about(to, p) {
			return r
		}
	}
	return nil
}

// rouse has deliver look at the queue again.
func (w *Wire) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// deliver sends what was late once it is time.
func (w *Wire) deliver() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		for _, f := range w.due(time.Now()) {
			w.send[f.to](f.data)
		}
		w.mu.Lock()
		wait, some := w.late.next()
		w.mu.Unlock()
		if some {
			timer.Reset(max(0, time.Until(wait)))
		}
		select {
		case <-w.quit:
			return
		case <-w.wake:
		case <-timer.C:
		}
	}
}

func (w *Wire) due(now time.Time) []late {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.late.take(now)
}

// other end of a packet, as the member sees it.
func (p *packet) other(to Direction) netip.Addr {
	if to == In {
		return p.src
	}
	return p.dst
}
