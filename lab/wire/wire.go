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
	rules ruleSet
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

// Set replaces the rules of an owner, "" of all. What an earlier one delayed
// comes when it was to come; without rules, at once.
func (w *Wire) Set(owner string, rules []lab.NetRule, seed uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rules.set(owner, rules, seed)
	w.busy.Store(len(w.rules) > 0)
	if len(w.rules) == 0 {
		w.late.hurry()
	}
	w.rouse()
}

// Idle says that there are no rules.
func (w *Wire) Idle() bool { return !w.busy.Load() }

// States gives the rules with what each did.
func (w *Wire) States() []lab.NetRuleState {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rules.states()
}

// Close sends what is late and ends.
func (w *Wire) Close() {
	w.Set("", nil, 0)
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
	about := w.match(to, &p)
	if len(about) == 0 {
		w.mu.Unlock()
		w.send[to](frame)
		return
	}
	v := judge(about, now, func(r *rule, at time.Time) verdict { return r.judge(to, &p, len(frame)-w.header, at) })
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

// match gives each owner's first rule that is about a packet; the caller holds
// the lock.
func (w *Wire) match(to Direction, p *packet) []*rule {
	if !p.ip || p.private() {
		return nil
	}
	return w.rules.match(func(r *rule) bool { return r.about(to, p) })
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
