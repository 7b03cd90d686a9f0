package verify

import (
	"fmt"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

func (m *mutant) lockName(name string) string { return m.key(history.LockPrefix + name) }
func (m *mutant) raceName(name string) string { return m.key(history.ElectionPrefix + name) }

func ownerKey(name string, lease int64) string { return fmt.Sprintf("%s/%x", name, lease) }

// sit puts an owner key, as the concurrency package does.
func (m *mutant) sit(name string, lease int64, value string) (rev int64) {
	rev = m.head() + 1
	r := record(rev, 0, history.Request{Key: ownerKey(name, lease), Value: value})
	r.KV.Lease = lease
	m.store("", r)
	return rev
}

// leave deletes owner keys in one revision.
func (m *mutant) leave(keys ...string) int64 {
	rev := m.head() + 1
	for i, k := range keys {
		m.store("", rungen.Record{Main: rev, Sub: int64(i), Tombstone: true, KV: history.KV{Key: k}})
	}
	return rev
}

// session adds an operation on a lock or election; token 0 is that of none.
func (m *mutant) session(kind history.Kind, outcome history.Outcome, name string, lease, token, rev int64, value string) *history.Op {
	o := m.call(kind, outcome, rev, history.Call{Name: name, Lease: lease, Key: ownerKey(name, lease), Revision: token, Value: value})
	if kind == history.KindLock || kind == history.KindCampaign {
		o.Invoke = m.Meta.Start // it waits from the run's begin on
	}
	return o
}

func (m *mutant) locked(name string, lease int64) (token int64) {
	token = m.sit(name, lease, "")
	m.session(history.KindLock, history.OK, name, lease, token, token, "")
	return token
}

func (m *mutant) unlocked(name string, lease, token int64) *history.Op {
	rev := m.leave(ownerKey(name, lease))
	return m.session(history.KindUnlock, history.OK, name, lease, token, rev, "")
}

func (m *mutant) leads(name string, lease, token, rev int64, value string) *history.Op {
	c := history.Call{Name: name}
	if lease != 0 {
		c = history.Call{Name: name, Lease: lease, Key: ownerKey(name, lease), Revision: token, Value: value}
	}
	return m.call(history.KindLeader, history.OK, rev, c)
}

// say puts a leader's key again.
func (m *mutant) say(name string, lease, token, version int64, value string) int64 {
	rev := m.head() + 1
	r := record(rev, 0, history.Request{Key: ownerKey(name, lease), Value: value})
	r.KV.Lease, r.KV.CreateRevision, r.KV.Version = lease, token, version
	m.store("", r)
	return rev
}

// lockRuns are runs with locks and elections, each with what must be found.
var lockRuns = map[string]func(m *mutant) want{
	"in turn": func(m *mutant) want {
		n := m.lockName("a")
		a := m.locked(n, 0xa)
		b := m.sit(n, 0xb, "") // waits
		rev := m.leave(ownerKey(n, 0xa))
		m.session(history.KindUnlock, history.OK, n, 0xa, a, rev, "")
		m.session(history.KindLock, history.OK, n, 0xb, b, rev, "")
		m.unlocked(n, 0xb, b)
		return want{result: Pass}
	},
	"the session of the holder ends": func(m *mutant) want {
		n := m.lockName("a")
		m.grant(0xa, 2)
		m.attach(0xa, "x")
		m.locked(n, 0xa)
		b := m.sit(n, 0xb, "")
		m.wait(3)
		rev := m.leave(m.key("x"), ownerKey(n, 0xa))
		m.session(history.KindLock, history.OK, n, 0xb, b, rev, "")
		return want{result: Pass}
	},
	"gives up waiting": func(m *mutant) want {
		n := m.lockName("a")
		m.locked(n, 0xa)
		m.sit(n, 0xb, "")
		m.leave(ownerKey(n, 0xb))
		m.session(history.KindLock, history.Unknown, n, 0xb, 0, 0, "")
		return want{result: Pass}
	},
	"of unknown outcome and in the store": func(m *mutant) want {
		n := m.lockName("a")
		m.locked(m.lockName("b"), 0xb)
		m.session(history.KindLock, history.Unknown, n, 0xa, 0, 0, "")
		m.sit(n, 0xa, "")
		return want{result: Pass}
	},
	"an election": func(m *mutant) want {
		n := m.raceName("a")
		m.leads(n, 0, 0, m.head(), "")
		a := m.sit(n, 0xa, "one")
		m.session(history.KindCampaign, history.OK, n, 0xa, a, a, "one")
		m.leads(n, 0xa, a, a, "one")
		b := m.sit(n, 0xb, "two")
		rev := m.say(n, 0xa, a, 2, "three")
		m.session(history.KindProclaim, history.OK, n, 0xa, a, rev, "three")
		m.leads(n, 0xa, a, rev, "three")
		rev = m.leave(ownerKey(n, 0xa))
		m.session(history.KindResign, history.OK, n, 0xa, a, rev, "")
		m.session(history.KindCampaign, history.OK, n, 0xb, b, rev, "two")
		m.leads(n, 0xb, b, rev, "two")
		return want{result: Pass}
	},

	"held twice": func(m *mutant) want {
		n := m.lockName("a")
		m.locked(n, 0xa)
		b := m.sit(n, 0xb, "")
		o := m.session(history.KindLock, history.OK, n, 0xb, b, b, "")
		return want{check: "locks", op: o.ID, text: "has two holders", only: true}
	},
	"held twice for a while": func(m *mutant) want {
		n := m.lockName("a")
		a := m.locked(n, 0xa)
		b := m.sit(n, 0xb, "")
		o := m.session(history.KindLock, history.OK, n, 0xb, b, b, "").ID
		m.unlocked(n, 0xa, a)
		return want{check: "locks", op: o, text: fmt.Sprintf("with fencing token %d, whose key is there until revision", a), only: true}
	},
	"won twice": func(m *mutant) want {
		n := m.raceName("a")
		a := m.sit(n, 0xa, "one")
		m.session(history.KindCampaign, history.OK, n, 0xa, a, a, "one")
		b := m.sit(n, 0xb, "two")
		o := m.session(history.KindCampaign, history.OK, n, 0xb, b, b, "two")
		return want{check: "locks", op: o.ID, text: "has two holders", only: true}
	},
	"lost": func(m *mutant) want {
		n := m.lockName("a")
		m.locked(n, 0xa)
		rev := m.head()
		m.change("", rev, func(r *rungen.Record) { r.KV.Key = ownerKey(n, 0xb) })
		return want{check: "locks", text: "has the fencing token"}
	},
	"lost with the store's tail": func(m *mutant) want {
		o := m.session(history.KindLock, history.OK, m.lockName("a"), 0xa, m.head()+1, m.head()+1, "")
		return want{check: "locks", op: o.ID, text: "the newest revision is", only: true}
	},
	"a key that nobody asked for": func(m *mutant) want {
		m.locked(m.lockName("b"), 0xb)
		rev := m.sit(m.lockName("a"), 0xa, "")
		return want{check: "locks", rev: rev, text: "nobody asked for", only: true}
	},
	"a key before anyone asked for it": func(m *mutant) want {
		n := m.lockName("a")
		rev := m.sit(n, 0xa, "")
		m.wait(2)
		m.session(history.KindLock, history.OK, n, 0xa, rev, m.head(), "").Invoke = m.now - 1
		return want{check: "locks", rev: m.head(), text: "was known at", only: true}
	},
	"made twice": func(m *mutant) want {
		n := m.lockName("a")
		a := m.locked(n, 0xa)
		m.unlocked(n, 0xa, a)
		rev := m.sit(n, 0xa, "")
		return want{check: "locks", op: m.lockOp(), text: fmt.Sprintf("revision %d makes /etcdlab/../lock/a/a again", rev), only: true}
	},
	"attached to another lease": func(m *mutant) want {
		n := m.lockName("a")
		rev := m.locked(n, 0xa)
		m.change("", rev, func(r *rungen.Record) { r.KV.Lease = 0xb })
		return want{check: "locks", rev: rev, text: "is attached to lease b", only: true}
	},
	"deleted by nobody": func(m *mutant) want {
		n := m.lockName("a")
		m.grant(0xa, 600)
		m.locked(n, 0xa)
		m.attach(0xa, "x")
		rev := m.leave(ownerKey(n, 0xa))
		m.revoke(history.OK, 0xa, m.gone("x"))
		return want{check: "locks", rev: rev, text: "nobody let go of", only: true}
	},
	"let go and still there": func(m *mutant) want {
		n := m.lockName("a")
		a := m.locked(n, 0xa)
		o := m.session(history.KindUnlock, history.OK, n, 0xa, a, m.head(), "")
		return want{check: "locks", op: o.ID, text: "its key is there to the end", only: true}
	},
	"resigned and still there": func(m *mutant) want {
		n := m.raceName("a")
		a := m.sit(n, 0xa, "one")
		m.session(history.KindCampaign, history.OK, n, 0xa, a, a, "one")
		o := m.session(history.KindResign, history.OK, n, 0xa, a, m.head(), "")
		return want{check: "locks", op: o.ID, text: "its key is there to the end", only: true}
	},
	"another leads than is said": func(m *mutant) want {
		n := m.raceName("a")
		a := m.sit(n, 0xa, "one")
		m.session(history.KindCampaign, history.OK, n, 0xa, a, a, "one")
		b := m.sit(n, 0xb, "two")
		m.session(history.KindCampaign, history.Unknown, n, 0xb, 0, 0, "two")
		o := m.leads(n, 0xb, b, m.head(), "two")
		return want{check: "locks", op: o.ID, text: "the oldest key", only: true}
	},
	"somebody leads, and nobody is said to": func(m *mutant) want {
		n := m.raceName("a")
		a := m.sit(n, 0xa, "one")
		m.session(history.KindCampaign, history.OK, n, 0xa, a, a, "one")
		o := m.leads(n, 0, 0, m.head(), "")
		return want{check: "locks", op: o.ID, text: "says at revision", only: true}
	},
	"another value than is said": func(m *mutant) want {
		n := m.raceName("a")
		a := m.sit(n, 0xa, "one")
		m.session(history.KindCampaign, history.OK, n, 0xa, a, a, "one")
		o := m.leads(n, 0xa, a, m.head(), "two")
		return want{check: "locks", op: o.ID, text: "something else than", only: true}
	},
	"a stale answer": func(m *mutant) want {
		n := m.raceName("a")
		old := m.head()
		a := m.sit(n, 0xa, "one")
		m.session(history.KindCampaign, history.OK, n, 0xa, a, a, "one")
		o := m.leads(n, 0, 0, old, "")
		return want{check: "locks", op: o.ID, text: "was known before it was invoked", only: true}
	},
	"a proclamation that is lost": func(m *mutant) want {
		n := m.raceName("a")
		a := m.sit(n, 0xa, "one")
		m.session(history.KindCampaign, history.OK, n, 0xa, a, a, "one")
		rev := m.say(n, 0xa, a, 2, "two")
		m.session(history.KindProclaim, history.Unknown, n, 0xa, a, 0, "two")
		o := m.session(history.KindProclaim, history.OK, n, 0xa, a, rev, "three")
		return want{check: "locks", op: o.ID, rev: rev, text: "which holds", only: true}
	},
	"proclaimed by nobody": func(m *mutant) want {
		n := m.raceName("a")
		a := m.sit(n, 0xa, "one")
		m.session(history.KindCampaign, history.OK, n, 0xa, a, a, "one")
		rev := m.say(n, 0xa, a, 2, "two")
		return want{check: "locks", rev: rev, text: "nobody proclaimed", only: true}
	},
	"a lock put again": func(m *mutant) want {
		n := m.lockName("a")
		a := m.locked(n, 0xa)
		rev := m.say(n, 0xa, a, 2, "")
		return want{check: "locks", rev: rev, text: "nobody proclaimed", only: true}
	},
	"a create revision that is wrong": func(m *mutant) want {
		n := m.raceName("a")
		a := m.sit(n, 0xa, "one")
		m.session(history.KindCampaign, history.OK, n, 0xa, a, a, "one")
		rev := m.say(n, 0xa, a-1, 2, "two")
		m.session(history.KindProclaim, history.OK, n, 0xa, 0, rev, "two")
		return want{check: "locks", rev: rev, text: "create revision", only: true}
	},

	"nothing acknowledged": func(m *mutant) want {
		m.session(history.KindLock, history.Unknown, m.lockName("a"), 0xa, 0, 0, "")
		return want{check: "locks", result: Inconclusive, text: "nothing to judge"}
	},
	"no store": func(m *mutant) want {
		m.locked(m.lockName("a"), 0xa)
		for i := range m.Members {
			m.Members[i].NoData = true
			m.Final.Members[i].Data, m.Final.Members[i].DataError = "", "copy: unexpected EOF"
		}
		return want{check: "locks", result: Inconclusive, text: "no store can be read"}
	},
	"no end mark": func(m *mutant) want {
		m.locked(m.lockName("a"), 0xa)
		m.sit(m.lockName("b"), 0xb, "")
		m.NoEnd = true
		return want{check: "locks", result: Inconclusive, text: "ends early"}
	},
}

// lockOp is the operation that asked for the only lock of a run.
func (m *mutant) lockOp() uint64 {
	for _, o := range m.Ops {
		if o.Kind == history.KindLock {
			return o.ID
		}
	}
	return 0
}

func TestLocks(t *testing.T) {
	for name, make := range lockRuns {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2) {
				m := newMutant(t, seed+400)
				w := make(m)
				if w.result != "" && seed > 0 { // what is no failure is none with clocks that differ
					m.Meta.ClockUncertainty = 20_000_000
				}
				m.Final.Time = m.now + second
				v := judge(t, write(t, m.Run), nil)
				if w.result == Pass {
					if c := check(v, "locks"); c.Verdict != Pass || v.Verdict == Fail {
						t.Errorf("the run does not pass\n%s", show(v))
					}
					continue
				}
				w.test(t, v)
			}
		})
	}
}
