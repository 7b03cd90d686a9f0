package verify

import (
	"fmt"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// call adds an operation that is not of the KV service, after all others.
func (m *mutant) call(kind history.Kind, outcome history.Outcome, rev int64, call history.Call) *history.Op {
	op := m.op(outcome, rev)
	op.Kind, op.Call, op.Then, op.Results = kind, &call, nil, nil
	m.term(op)
	return op
}

// term makes an operation one of the last term.
func (m *mutant) term(op *history.Op) {
	if op.Outcome != history.OK {
		return
	}
	for _, o := range m.Ops {
		op.RaftTerm = max(op.RaftTerm, o.RaftTerm)
	}
	op.MemberID = m.Meta.Members[0].ID
}

// wait lets time pass in which the cluster serves.
func (m *mutant) wait(seconds float64) {
	for end := m.now + int64(seconds*float64(second)); ; {
		step := min(second, end-m.now)
		if step <= 2_000_000 {
			return
		}
		m.now += step - 2_000_000
		m.term(m.get(m.head(), m.key("ping")))
	}
}

func (m *mutant) grant(id, ttl int64) *history.Op {
	return m.call(history.KindLeaseGrant, history.OK, m.head(), history.Call{Lease: id, TTL: ttl})
}

func (m *mutant) keepAlive(id, ttl int64) *history.Op {
	return m.call(history.KindLeaseKeepAlive, history.OK, m.head(), history.Call{Lease: id, TTL: ttl})
}

func (m *mutant) ttl(id, left, granted int64, keys ...string) *history.Op {
	return m.call(history.KindLeaseTTL, history.OK, m.head(), history.Call{Lease: id, TTL: left, Granted: granted, List: keys})
}

// attach puts a key with a lease.
func (m *mutant) attach(id int64, name string) *history.Op {
	rev := m.head() + 1
	o := m.op(history.OK, rev, history.Request{Verb: history.Put, Key: m.key(name), Lease: id})
	m.term(o)
	r := record(rev, 0, o.Then[0])
	r.KV.Lease = id
	m.store("", r)
	return o
}

// gone deletes keys in one revision that nobody asked for.
func (m *mutant) gone(names ...string) int64 {
	rev := m.head() + 1
	for i, n := range names {
		m.store("", rungen.Record{Main: rev, Sub: int64(i), Tombstone: true, KV: history.KV{Key: m.key(n)}})
	}
	return rev
}

func (m *mutant) revoke(outcome history.Outcome, id, rev int64) *history.Op {
	return m.call(history.KindLeaseRevoke, outcome, rev, history.Call{Lease: id})
}

// stored puts leases on every member's disk.
func (m *mutant) stored(leases map[int64]int64) {
	for _, x := range m.Members {
		x.Leases = leases
	}
}

// past is enough time to judge that a lease of a few seconds had to be gone.
const past = 50

// leaseRuns are runs with leases, each with what must be found.
var leaseRuns = map[string]func(m *mutant) want{
	"ends in time": func(m *mutant) want {
		m.grant(0x77, 2)
		m.attach(0x77, "x1")
		m.attach(0x77, "x2")
		m.wait(2.5)
		m.gone("x1", "x2")
		m.wait(past)
		return want{result: Pass}
	},
	"kept alive, then ends in time": func(m *mutant) want {
		m.grant(0x77, 2)
		m.attach(0x77, "x1")
		for range 20 {
			m.wait(1)
			m.keepAlive(0x77, 2)
		}
		m.wait(3)
		m.gone("x1")
		m.wait(1)
		m.keepAlive(0x77, 0)
		m.ttl(0x77, -1, 0)
		m.wait(past)
		return want{result: Pass}
	},
	"revoked": func(m *mutant) want {
		m.grant(0x77, 60)
		m.attach(0x77, "x1")
		m.ttl(0x77, 59, 60, m.key("x1"))
		m.revoke(history.OK, 0x77, m.gone("x1"))
		m.keepAlive(0x77, 0)
		return want{result: Pass}
	},
	"revoked with an unknown outcome": func(m *mutant) want {
		m.grant(0x77, 60)
		m.attach(0x77, "x1")
		m.revoke(history.Unknown, 0x77, 0)
		m.revoke(history.OK, 0x99, m.head())
		m.gone("x1")
		m.wait(1)
		m.ttl(0x77, -1, 0)
		return want{result: Pass}
	},
	"a write refused after the end": func(m *mutant) want {
		m.grant(0x77, 2)
		m.attach(0x77, "x1")
		m.wait(3)
		m.gone("x1")
		o := m.op(history.Failed, 0, history.Request{Verb: history.Put, Key: m.key("x2"), Lease: 0x77})
		o.Error = "etcdserver: requested lease not found"
		m.wait(past)
		return want{result: Pass}
	},
	"a new leader begins the time anew": func(m *mutant) want {
		m.grant(0x77, 3)
		m.attach(0x77, "x1")
		for range 8 {
			m.wait(2)
			m.nextTerm()
		}
		m.wait(3)
		m.gone("x1")
		m.wait(5)
		return want{result: Pass}
	},
	"an outage": func(m *mutant) want {
		m.grant(0x77, 3)
		m.attach(0x77, "x1")
		m.now += 100 * second
		m.wait(3)
		m.gone("x1")
		m.wait(5)
		return want{result: Pass}
	},

	"lives too long": func(m *mutant) want {
		m.grant(0x77, 2)
		m.attach(0x77, "x1")
		m.wait(past)
		return want{check: "leases", rev: m.head(), text: "had to be gone after", only: true}
	},
	"lives too long, then goes": func(m *mutant) want {
		m.grant(0x77, 2)
		m.attach(0x77, "x1")
		m.wait(past)
		m.gone("x1")
		m.wait(2)
		return want{check: "leases", rev: m.head() - 1, text: "it still had /etcdlab/../x1 attached", only: true}
	},
	"lives too long after a keep-alive": func(m *mutant) want {
		m.grant(0x77, 2)
		m.wait(1)
		o := m.keepAlive(0x77, 2)
		m.wait(past)
		g := m.ttl(0x77, 1, 2)
		m.wait(past)
		return want{check: "leases", op: o.ID, text: fmt.Sprintf("by client %d", g.Client), only: true}
	},
	"lives too long in spite of several kills": func(m *mutant) want {
		m.grant(0x77, 1)
		m.attach(0x77, "x1")
		for round := range 5 {
			m.Events = append(m.Events,
				history.Event{Time: m.now, Kind: history.EventRoundStart, Round: 10 + round},
				history.Event{Time: m.now + 1, Kind: history.EventKilled, Round: 10 + round, Member: "m1"},
				history.Event{Time: m.now + second, Kind: history.EventServing, Round: 10 + round, Member: "m1"})
			m.wait(2)
			m.nextTerm()
			m.wait(13)
			m.Events = append(m.Events, history.Event{Time: m.now, Kind: history.EventRoundEnd, Round: 10 + round, Figures: &history.Figures{Fault: "kill", Observed: true, Dropped: 1, Uncovered: 1}})
		}
		return want{check: "leases", text: "x1 attached", only: true}
	},
	"renewed after its time": func(m *mutant) want {
		m.grant(0x77, 2)
		m.wait(past)
		m.keepAlive(0x77, 2)
		return want{check: "leases", text: "says that it has 2 s left", only: true}
	},
	"vanishes before its time": func(m *mutant) want {
		m.grant(0x77, 20)
		m.attach(0x77, "x1")
		m.attach(0x77, "x2")
		m.wait(3)
		rev := m.gone("x1", "x2")
		m.wait(5)
		return want{check: "leases", rev: rev, text: "nobody revoked it", only: true}
	},
	"vanishes in spite of its keep-alive": func(m *mutant) want {
		m.grant(0x77, 10)
		m.attach(0x77, "x1")
		m.wait(8)
		o := m.keepAlive(0x77, 10)
		m.wait(4)
		rev := m.gone("x1")
		m.wait(1)
		m.term(m.put(history.OK, m.head()+1, "y")) // an answer of the same term
		m.store("", record(m.head()+1, 0, m.Ops[len(m.Ops)-1].Then[0]))
		return want{check: "leases", op: o.ID, rev: rev, text: "keep-alive of lease 77", only: true}
	},
	"vanishes at a change of leaders": func(m *mutant) want {
		m.grant(0x77, 60)
		m.attach(0x77, "x1")
		m.wait(5)
		m.nextTerm()
		rev := m.gone("x1")
		m.wait(1)
		return want{check: "leases", rev: rev, text: "nobody revoked it", only: true}
	},
	"forgotten": func(m *mutant) want {
		m.grant(0x77, 20)
		m.wait(3)
		o := m.ttl(0x77, -1, 0)
		return want{check: "leases", op: o.ID, text: "there is no lease 77", only: true}
	},
	"forgotten, says a keep-alive": func(m *mutant) want {
		m.grant(0x77, 20)
		m.wait(3)
		o := m.keepAlive(0x77, 0)
		return want{check: "leases", op: o.ID, text: "there is no lease 77", only: true}
	},
	"forgotten, says a write": func(m *mutant) want {
		m.grant(0x77, 20)
		m.wait(3)
		o := m.op(history.Failed, 0, history.Request{Verb: history.Put, Key: m.key("x2"), Lease: 0x77})
		o.Error = "etcdserver: requested lease not found"
		return want{check: "leases", op: o.ID, text: "had no lease 77 to attach to", only: true}
	},
	"a key survives a revocation": func(m *mutant) want {
		m.grant(0x77, 60)
		m.attach(0x77, "x1")
		o := m.revoke(history.OK, 0x77, m.head())
		m.wait(1)
		return want{check: "leases", op: o.ID, rev: m.head(), text: "x1 being attached to it still", only: true}
	},
	"a key attached after a revocation": func(m *mutant) want {
		m.grant(0x77, 60)
		o := m.revoke(history.OK, 0x77, m.head())
		m.attach(0x77, "x1")
		return want{check: "leases", op: o.ID, rev: m.head(), text: "attaching /etcdlab/../x1", only: true}
	},
	"kept alive after a revocation": func(m *mutant) want {
		m.grant(0x77, 60)
		m.revoke(history.OK, 0x77, m.head())
		o := m.keepAlive(0x77, 60)
		return want{check: "leases", op: o.ID, text: "still has 60 s for it", only: true}
	},
	"there after its end": func(m *mutant) want {
		m.grant(0x77, 2)
		m.attach(0x77, "x1")
		m.wait(3)
		m.gone("x1")
		m.wait(1)
		o := m.ttl(0x77, 1, 2)
		return want{check: "leases", op: o.ID, text: "deleted all its keys", only: true}
	},
	"attached after its end": func(m *mutant) want {
		m.grant(0x77, 2)
		m.attach(0x77, "x1")
		m.wait(3)
		m.gone("x1")
		m.wait(1)
		m.attach(0x77, "x2")
		return want{check: "leases", rev: m.head(), text: "attaching /etcdlab/../x2", only: true}
	},
	"more left than granted": func(m *mutant) want {
		m.grant(0x77, 20)
		o := m.ttl(0x77, 9_223_372_036, 20)
		return want{check: "leases", op: o.ID, text: "s left of 20", only: true}
	},
	"another TTL than granted": func(m *mutant) want {
		m.grant(0x77, 20)
		o := m.keepAlive(0x77, 30)
		return want{check: "leases", op: o.ID, text: "was granted for 30 s", only: true}
	},
	"lists a key that is not attached": func(m *mutant) want {
		m.grant(0x77, 20)
		m.attach(0x77, "x1")
		m.wait(1)
		o := m.ttl(0x77, 18, 20, m.key("x1"), m.key("x2"))
		m.wait(1)
		return want{check: "leases", op: o.ID, text: "among them /etcdlab/../x2", only: true}
	},
	"does not list a key that is attached": func(m *mutant) want {
		m.grant(0x77, 20)
		m.attach(0x77, "x1")
		m.attach(0x77, "x2")
		m.wait(1)
		o := m.ttl(0x77, 18, 20, m.key("x1"))
		m.wait(1)
		return want{check: "leases", op: o.ID, text: "and not /etcdlab/../x2", only: true}
	},

	"on disk": func(m *mutant) want {
		m.grant(0x77, 600)
		m.attach(0x77, "x1")
		m.attach(0, "x2")
		m.stored(map[int64]int64{0x77: 600})
		return want{result: Pass}
	},
	"on disk after its revocation": func(m *mutant) want {
		m.grant(0x77, 600)
		m.revoke(history.OK, 0x77, m.head())
		m.attach(0, "x2")
		m.stored(map[int64]int64{0x77: 600})
		return want{check: "leases", member: "m2", text: "on its disk at revision", only: true}
	},
	"on disk after its end": func(m *mutant) want {
		m.grant(0x77, 2)
		m.attach(0x77, "x1")
		m.wait(3)
		m.gone("x1")
		m.wait(1)
		m.stored(map[int64]int64{0x77: 2})
		return want{check: "leases", member: "m3", text: "deleted its keys as its end does", only: true}
	},
	"on disk with another TTL": func(m *mutant) want {
		m.grant(0x77, 600)
		m.stored(map[int64]int64{0x77: 60})
		return want{check: "leases", member: "m1", text: "it was granted for 600 s", only: true}
	},
	"on disk beyond its time": func(m *mutant) want {
		m.grant(0x77, 2)
		m.wait(past)
		m.attach(0, "x2")
		m.stored(map[int64]int64{0x77: 2})
		return want{check: "leases", text: "still has it on its disk", only: true}
	},
	"not on disk": func(m *mutant) want {
		m.grant(0x77, 600)
		m.attach(0, "x2")
		return want{check: "leases", member: "m1", text: "has no lease 77 on its disk", only: true}
	},
	"granted to nobody": func(m *mutant) want {
		*m = mutant{Run: rungen.Simulate(rungen.Options{Seed: 7, Ops: 200}), t: m.t}
		for _, o := range m.Ops {
			m.now = max(m.now, o.Return, o.Invoke)
		}
		m.grant(0x77, 600)
		m.stored(map[int64]int64{0x77: 600, 0x99: 600})
		return want{check: "leases", member: "m1", text: "lease 99 on its disk, which nobody asked for", only: true}
	},
	"granted to others": func(m *mutant) want {
		m.grant(0x77, 600)
		m.stored(map[int64]int64{0x77: 600, 0x99: 600})
		return want{result: Pass}
	},

	"too short": func(m *mutant) want {
		m.grant(0x77, 2)
		m.attach(0x77, "x1")
		m.wait(4)
		return want{check: "leases", result: Inconclusive, text: "has to be overdue for 19.0 s"}
	},
	"disturbed": func(m *mutant) want {
		m.grant(0x77, 2)
		m.attach(0x77, "x1")
		for range 10 {
			m.wait(10)
			m.Events = append(m.Events, history.Event{Time: m.now, Kind: history.EventKilled, Member: "m1"}, history.Event{Time: m.now + second, Kind: history.EventServing, Member: "m1"})
		}
		return want{check: "leases", result: Inconclusive, text: "has to be overdue for 19.0 s"}
	},
	"no end mark": func(m *mutant) want {
		m.grant(0x77, 60)
		m.attach(0x77, "x1")
		m.wait(2)
		m.gone("x1") // by a revocation that the history lost
		m.NoEnd = true
		return want{check: "leases", result: Inconclusive, text: "ends early"}
	},
	"no store": func(m *mutant) want {
		m.grant(0x77, 60)
		for i := range m.Members {
			m.Members[i].NoData = true
			m.Final.Members[i].Data, m.Final.Members[i].DataError = "", "copy: unexpected EOF"
		}
		return want{check: "leases", result: Inconclusive, text: "no store can be read"}
	},
	"an answer by one who was cut off": func(m *mutant) want {
		m.grant(0x77, 60)
		old := m.Ops[len(m.Ops)-1].RaftTerm
		m.nextTerm()
		m.revoke(history.OK, 0x77, m.head())
		m.keepAlive(0x77, 60).RaftTerm = old
		return want{result: Pass}
	},
}

// nextTerm makes a new leader known.
func (m *mutant) nextTerm() {
	o := m.get(m.head(), m.key("ping"))
	m.term(o)
	o.RaftTerm = m.Elect()
}

func TestLeases(t *testing.T) {
	for name, make := range leaseRuns {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2) {
				m := newMutant(t, seed+300)
				w := make(m)
				if w.result != "" && seed > 0 { // what is no failure is none with clocks that differ
					m.Meta.ClockUncertainty = 20_000_000
				}
				m.Final.Time = m.now + second
				v := judge(t, write(t, m.Run), nil)
				if w.result == Pass {
					if v.Verdict != Pass || check(v, "leases").Name == "" {
						t.Errorf("the run does not pass\n%s", show(v))
					}
					continue
				}
				w.test(t, v)
			}
		})
	}
}
