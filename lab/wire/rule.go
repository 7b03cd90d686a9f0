package wire

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/etcdlab/etcdlab/internal/seed"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/etcd"
)

const (
	// overtake is for how long a packet is held back, so that others overtake
	// it, where there is no delay to measure that by.
	overtake = 5 * time.Millisecond
	// backlog is how much a rate may have waiting before more is lost.
	backlog = time.Second
	// maxFresh bounds how many new connections a reset remembers; with more, all
	// are taken for new.
	maxFresh = 1 << 16
)

// rule is one at work. The wire's lock guards it.
type rule struct {
	owner string
	lab.NetRule
	packets, hit uint64
	flows        [2]flow
	// Of streams: a rate loses nothing, and connections of a number up to that
	// were there before.
	patient bool
	before  int
	fresh   map[connection]bool // of a reset: those that began after it
}

// flow is what a shaping rule remembers of one direction.
type flow struct {
	rand *rand.Rand
	last time.Time // when the last one in order is due
	free time.Time // when the rate has passed on what it has
}

// connection is one of TCP, as the member sees it.
type connection struct {
	other       [4]byte
	theirs, own uint16
}

func newRule(owner string, r lab.NetRule, of uint64, i int) *rule {
	out := &rule{owner: owner, NetRule: r, fresh: map[connection]bool{}}
	for _, d := range []Direction{In, Out} {
		out.flows[d].rand = seed.Rand(of, fmt.Sprintf("net/%d/%s", i, d))
	}
	return out
}

// about says whether a packet is the rule's.
func (r *rule) about(to Direction, p *packet) bool {
	if r.Direction != "" && r.Direction != to.String() {
		return false
	}
	switch r.Side {
	case lab.NetPeer:
		if !p.has(etcd.PeerPort) {
			return false
		}
	case lab.NetClient:
		if !p.has(etcd.ClientPort) {
			return false
		}
	}
	return len(r.Peers) == 0 || slices.Contains(r.Peers, p.other(to))
}

// verdict is what becomes of a packet: when it goes on, each time it does, and
// what is answered.
type verdict struct {
	at      []time.Time
	hit     bool
	answers []answer
}

type answer struct {
	to    Direction
	frame []byte
}

func (r *rule) judge(to Direction, p *packet, size int, now time.Time) (v verdict) {
	say := func(d Direction, frame []byte) {
		if frame != nil {
			v.answers = append(v.answers, answer{d, frame})
		}
	}
	switch r.Action {
	case lab.NetShape:
		return r.shape(&r.flows[to], size, now)
	case lab.NetReset:
		if r.isNew(to, p) {
			return verdict{at: []time.Time{now}}
		}
		say(to, p.resetOn())
		say(1-to, p.reset())
	case lab.NetReject:
		say(1-to, p.reset())
	case lab.NetUnreachable:
		say(1-to, p.unreachable())
	}
	v.hit = true
	return v
}

// isNew says that a packet is none of a connection that was open when the rule
// came. A reset of one passes: it is over.
func (r *rule) isNew(to Direction, p *packet) bool {
	if !p.read || p.flags&flagRST != 0 || len(r.fresh) >= maxFresh {
		return true
	}
	c := connection{p.other(to).As4(), p.from, p.to}
	if to == Out {
		c.theirs, c.own = p.to, p.from
	}
	if p.flags&(flagSYN|flagACK) == flagSYN {
		r.fresh[c] = true
	}
	return r.fresh[c]
}

// shape draws the same number of times for each packet, so that what becomes of
// one does not change what becomes of the next.
func (r *rule) shape(f *flow, size int, now time.Time) (v verdict) {
	lost, twice, behind := f.rand.Float64() < r.Loss, f.rand.Float64() < r.Duplicate, f.rand.Float64() < r.Reorder
	jitter := time.Duration((2*f.rand.Float64() - 1) * float64(r.Jitter))
	if lost {
		return verdict{hit: true}
	}
	at := now.Add(r.Delay + jitter)
	if at.Before(f.last) {
		at = f.last // jitter alone does not reorder
	}
	f.last = at
	if behind {
		at = at.Add(max(r.Delay, overtake))
	}
	v.hit = twice || behind || r.Delay > 0
	if r.Rate > 0 {
		if !r.patient && f.free.Sub(at) > backlog {
			return verdict{hit: true}
		}
		if f.free.After(at) {
			at, v.hit = f.free, true
		}
		f.free = at.Add(time.Duration(float64(size) / float64(r.Rate) * float64(time.Second)))
		at = f.free
	}
	v.at = append(v.at, at)
	if twice {
		v.at = append(v.at, at)
	}
	return v
}
