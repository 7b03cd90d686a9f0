package verify

import (
	"fmt"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// mutants are broken runs, and what must be found in each.
var mutants = map[string]func(m *mutant) want{
	"lost": func(m *mutant) want {
		o := m.aPut()
		m.drop("", o.Revision)
		return want{check: "durability", op: o.ID, rev: o.Revision, text: "is not in the store after recovery: there is no revision"}
	},
	"hole": func(m *mutant) want {
		o := m.aPut()
		m.drop("", o.Revision)
		return want{check: "durability", rev: o.Revision, text: "are missing from the store of m1, m2, m3"}
	},
	"hole of others": func(m *mutant) want {
		rev := int64(0)
		for _, r := range m.Members[0].Records {
			if r.Main > m.Meta.Base.Revision && r.Main < m.head() && (r.KV.Key[:4] == "/app" || r.KV.Key[:4] == "/zzz") {
				rev = r.Main
			}
		}
		if rev == 0 {
			m.t.Fatal("no foreign revision")
		}
		m.drop("", rev)
		return want{check: "durability", rev: rev, text: "missing", only: true}
	},
	"lost tail": func(m *mutant) want {
		o := m.put(history.OK, m.head()+1, "x")
		return want{check: "durability", op: o.ID, rev: o.Revision, text: "the newest revision is", only: true}
	},
	"lost, then its revision given away": func(m *mutant) want {
		rev := m.head() + 1
		a := m.put(history.OK, rev, "x").ID
		b := m.put(history.OK, rev, "y")
		m.store("", record(rev, 0, b.Then[0]))
		return want{check: "durability", op: a, rev: rev, text: "holds /etcdlab/../y = c0/"}
	},
	"two writes at one revision": func(m *mutant) want {
		rev := m.head() + 1
		m.put(history.OK, rev, "x")
		b := m.put(history.OK, rev, "y")
		m.store("", record(rev, 0, b.Then[0]))
		return want{check: "order", op: b.ID, rev: rev, text: "was acknowledged to two writes"}
	},
	"lost on one member": func(m *mutant) want {
		o := m.aPut()
		m.drop("m2", o.Revision)
		return want{check: "durability", op: o.ID, rev: o.Revision, member: "m2", text: "has no such revision"}
	},
	"lost delete": func(m *mutant) want {
		o := m.aDelete()
		m.drop("", o.Revision)
		return want{check: "durability", op: o.ID, rev: o.Revision}
	},
	"phantom": func(m *mutant) want {
		rev := m.head() + 1
		m.store("", record(rev, 0, history.Request{Key: m.key("x"), Value: history.Value(m.Meta.ID, 3, 999999, 0, 80)}))
		return want{check: "durability", op: 999999, rev: rev, text: "nobody wrote", only: true}
	},
	"refused but written": func(m *mutant) want {
		o := m.put(history.Failed, 0, "x")
		rev := m.head() + 1
		m.store("", record(rev, 0, o.Then[0]))
		return want{check: "durability", op: o.ID, rev: rev, text: "was never to be done", only: true}
	},
	"applied twice": func(m *mutant) want {
		rev := m.head() + 1
		o := m.put(history.OK, rev, "x")
		again := record(rev+1, 0, o.Then[0])
		again.KV.CreateRevision, again.KV.Version = rev, 2
		m.store("", record(rev, 0, o.Then[0]), again)
		return want{check: "durability", op: o.ID, rev: rev + 1, text: "a second time", only: true}
	},
	"unknown outcome applied twice": func(m *mutant) want {
		rev := m.head() + 1
		o := m.put(history.Unknown, 0, "x")
		again := record(rev+1, 0, o.Then[0])
		again.KV.CreateRevision, again.KV.Version = rev, 2
		m.store("", record(rev, 0, o.Then[0]), again)
		return want{check: "durability", op: o.ID, rev: rev + 1, text: "a second time", only: true}
	},
	"at another revision": func(m *mutant) want {
		rev := m.head() + 1
		o := m.put(history.OK, rev, "x")
		u := m.put(history.Unknown, 0, "y")
		m.store("", record(rev, 0, u.Then[0]), record(rev+1, 0, o.Then[0]))
		m.Ops[len(m.Ops)-1].Invoke = m.Ops[len(m.Ops)-2].Invoke
		return want{check: "durability", op: m.Ops[len(m.Ops)-2].ID, rev: rev, text: fmt.Sprintf("its value is at revision %d", rev+1), only: true}
	},
	"value changed": func(m *mutant) want {
		o := m.aPut()
		m.change("", o.Revision, func(r *rungen.Record) { r.KV.Value = r.KV.Value[:79] + "!" })
		return want{check: "durability", op: o.ID, rev: o.Revision, text: "not its bytes"}
	},
	"value's name changed": func(m *mutant) want {
		o := m.aPut()
		m.change("", o.Revision, func(r *rungen.Record) { r.KV.Value = "\x00" + r.KV.Value[1:] })
		return want{check: "durability", op: o.ID, rev: o.Revision, text: "a value that is not the run's"}
	},
	"value changed on one member": func(m *mutant) want {
		o := m.aPut()
		m.change("m3", o.Revision, func(r *rungen.Record) { r.KV.Value = r.KV.Value[:79] + "!" })
		return want{check: "durability", op: o.ID, rev: o.Revision, member: "m3", text: "with other bytes"}
	},
	"member differs": func(m *mutant) want {
		o := m.aPut()
		m.change("m3", o.Revision, func(r *rungen.Record) { r.KV.Value = r.KV.Value[:79] + "!" })
		for i := range m.Final.Members { // the live answers hide it
			m.Final.Members[i].Hash = m.Final.Members[0].Hash
		}
		return want{check: "member-hash", rev: o.Revision, member: "m3", text: "with other bytes"}
	},
	"member's disk is not what it answers": func(m *mutant) want {
		o := m.aPut()
		hash := m.Final.Members[0].Hash
		m.change("", o.Revision, func(r *rungen.Record) { r.KV.Value = r.KV.Value[:79] + "!" })
		for i := range m.Final.Members {
			m.Final.Members[i].Hash = hash
		}
		return want{check: "member-hash", member: "m2", text: "but its db holds"}
	},
	"live hashes differ": func(m *mutant) want {
		m.Final.Members[1].Hash ^= 1
		return want{check: "member-hash", member: "m2", rev: m.head(), text: "answered the KV hash", only: true}
	},
	"member behind at one index": func(m *mutant) want {
		rev := m.head()
		m.drop("m2", rev)
		return want{check: "member-hash", text: "m2 is at revision"}
	},
	"wrong key": func(m *mutant) want {
		o := m.aPut()
		m.change("", o.Revision, func(r *rungen.Record) { r.KV.Key += "x" })
		return want{check: "durability", op: o.ID, rev: o.Revision}
	},
	"wrong version in the store": func(m *mutant) want {
		o := m.aPut()
		m.change("", o.Revision, func(r *rungen.Record) { r.KV.Version++ })
		return want{check: "order", op: o.ID, rev: o.Revision, text: "version"}
	},
	"half a transaction": func(m *mutant) want {
		o := m.aTwoPuts()
		m.Edit("", func(recs []rungen.Record) (out []rungen.Record) {
			for _, r := range recs {
				if r.Main != o.Revision || r.Sub != 1 {
					out = append(out, r)
				}
			}
			return out
		})
		return want{check: "durability", op: o.ID, rev: o.Revision, text: "not all of it"}
	},
	"half a transaction of unknown outcome": func(m *mutant) want {
		o := m.op(history.Unknown, 0, history.Request{Verb: history.Put, Key: m.key("x")}, history.Request{Verb: history.Put, Key: m.key("y")})
		o.Kind = history.KindTxn
		m.store("", record(m.head()+1, 0, o.Then[0]))
		return want{check: "durability", op: o.ID, text: "half there", only: true}
	},
	"record missing in a revision": func(m *mutant) want {
		o := m.aTwoPuts()
		m.Edit("", func(recs []rungen.Record) (out []rungen.Record) {
			for _, r := range recs {
				if r.Main != o.Revision || r.Sub != 0 {
					out = append(out, r)
				}
			}
			return out
		})
		return want{check: "durability", rev: o.Revision, text: "record 0 of revision"}
	},
	"delete by nobody": func(m *mutant) want {
		rev := m.head() + 1
		x := m.put(history.OK, rev, "x").Then[0]
		rev++
		m.store("", record(rev-1, 0, x), rungen.Record{Main: rev, Tombstone: true, KV: history.KV{Key: x.Key}})
		return want{check: "durability", rev: rev, text: "which nobody deleted", only: true}
	},
	"stale read": func(m *mutant) want {
		o := m.aPut()
		g := m.get(o.Revision, o.Then[0].Key)
		return want{check: "order", op: g.ID, rev: o.Revision, text: "was known before it was invoked", only: true}
	},
	"read of another value": func(m *mutant) want {
		g := m.get(m.head(), m.aGet().Then[0].Key)
		g.Results[0] = history.Result{Count: 1, KVs: []history.KV{m.aGet().Results[0].KVs[0]}}
		g.Results[0].KVs[0].Value = history.Value(m.Meta.ID, 1, 2, 0, 80)
		return want{check: "order", op: g.ID, rev: g.Revision, text: "/etcdlab/../k", only: true}
	},
	"read of another version": func(m *mutant) want {
		g := m.aGet()
		g.Results[0].KVs[0].Version++
		return want{check: "order", op: g.ID, rev: g.Revision, text: "it answered version", only: true}
	},
	"read of another create revision": func(m *mutant) want {
		g := m.aGet()
		g.Results[0].KVs[0].CreateRevision--
		return want{check: "order", op: g.ID, rev: g.Revision, text: "it answered create revision", only: true}
	},
	"read of another mod revision": func(m *mutant) want {
		g := m.aGet()
		g.Results[0].KVs[0].ModRevision--
		return want{check: "order", op: g.ID, rev: g.Revision, text: "with mod revision", only: true}
	},
	"read of another count": func(m *mutant) want {
		g := m.aGet()
		g.Results[0].Count++
		return want{check: "order", op: g.ID, rev: g.Revision, text: "it counted 2 keys", only: true}
	},
	"read of nothing": func(m *mutant) want {
		g := m.aGet()
		g.Results[0] = history.Result{}
		return want{check: "order", op: g.ID, rev: g.Revision, text: "which was there", only: true}
	},
	"serializable read of what never was": func(m *mutant) want {
		g := m.aGet()
		g.Then[0].Serializable = true
		g.Results[0].KVs[0].Version++
		return want{check: "reads", op: g.ID, rev: g.Revision, only: true}
	},
	"read of a revision that is gone": func(m *mutant) want {
		g := m.op(history.OK, m.head()+3, history.Request{Verb: history.Range, Key: m.key("x")})
		return want{check: "order", op: g.ID, rev: g.Revision, text: "after recovery the newest revision is", only: true}
	},
	"range without its more": func(m *mutant) want {
		m.put(history.OK, 0, "x1") // two keys at the head, whatever else there is
		m.Ops = m.Ops[:len(m.Ops)-1]
		rev := m.head()
		a, b := m.put(history.OK, rev+1, "x1").Then[0], m.put(history.OK, rev+2, "x2").Then[0]
		m.store("", record(rev+1, 0, a), record(rev+2, 0, b))
		g := m.op(history.OK, rev+2, history.Request{Verb: history.Range, Key: a.Key, End: m.key("x9"), Limit: 1})
		g.Results[0] = history.Result{Count: 2, KVs: []history.KV{record(rev+1, 0, a).KV}}
		return want{check: "order", op: g.ID, rev: rev + 2, text: "more=false", only: true}
	},
	"range that leaves one out": func(m *mutant) want {
		rev := m.head()
		a, b := m.put(history.OK, rev+1, "x1").Then[0], m.put(history.OK, rev+2, "x2").Then[0]
		m.store("", record(rev+1, 0, a), record(rev+2, 0, b))
		g := m.op(history.OK, rev+2, history.Request{Verb: history.Range, Key: a.Key, End: m.key("x9")})
		g.Results[0] = history.Result{Count: 2, KVs: []history.KV{record(rev+2, 0, b).KV}}
		return want{check: "order", op: g.ID, rev: rev + 2, text: "it did not answer /etcdlab/../x1", only: true}
	},
	"read in a transaction": func(m *mutant) want {
		o := m.aTwoPuts()
		o.Results[3].KVs[0].Version++
		return want{check: "transactions", op: o.ID, rev: o.Revision, text: "a state that never was", only: true}
	},
	"read before the put in a transaction": func(m *mutant) want {
		o := m.aTwoPuts()
		o.Results[0] = o.Results[3] // as if the put had come first
		return want{check: "transactions", op: o.ID, rev: o.Revision, text: "a state that never was", only: true}
	},
	"wrong branch": func(m *mutant) want {
		o := m.get(m.head(), m.key("nothing"))
		o.Kind, o.Succeeded = history.KindTxn, true
		o.Compares = []history.Compare{{Key: o.Then[0].Key, Target: history.CompareVersion, Result: history.Greater}}
		return want{check: "transactions", op: o.ID, text: "says that its compares held", only: true}
	},
	"wrong branch of a write": func(m *mutant) want {
		rev := m.head() + 1
		o := m.put(history.OK, rev, "x")
		o.Kind, o.Succeeded = history.KindTxn, true
		o.Compares = []history.Compare{{Key: o.Then[0].Key, Target: history.CompareMod, Result: history.Equal, Number: 5}}
		m.store("", record(rev, 0, o.Then[0]))
		return want{check: "transactions", op: o.ID, rev: rev, text: "did not hold", only: true}
	},
	"answered no and wrote": func(m *mutant) want {
		rev := m.head() + 1
		o := m.put(history.OK, rev-1, "x")
		o.Kind, o.Succeeded = history.KindTxn, false
		o.Compares = []history.Compare{{Key: o.Then[0].Key, Target: history.CompareVersion, Result: history.Greater}}
		o.Results = nil
		m.store("", record(rev, 0, o.Then[0]))
		return want{check: "durability", op: o.ID, rev: rev, text: "having written nothing", only: true}
	},
	"deleted count": func(m *mutant) want {
		o := m.aDelete()
		o.Results[0].Deleted++
		return want{check: "order", op: o.ID, rev: o.Revision, text: "deleted", only: true}
	},
	"delete of nothing that is there": func(m *mutant) want {
		rev := m.head() + 1
		o := m.put(history.OK, rev, "x").Then[0]
		m.store("", record(rev, 0, o))
		d := m.op(history.OK, rev, history.Request{Verb: history.Delete, Key: o.Key})
		return want{check: "order", op: d.ID, rev: rev, text: "nothing to delete", only: true}
	},
	"real time turned around": func(m *mutant) want {
		rev := m.head()
		a := m.put(history.OK, rev+2, "x").Then[0]
		b := m.put(history.OK, rev+1, "y")
		m.store("", record(rev+1, 0, b.Then[0]), record(rev+2, 0, a))
		return want{check: "order", op: b.ID, rev: rev + 1, text: "was known before it was invoked", only: true}
	},
	"unknown outcome before its time": func(m *mutant) want {
		rev := m.head()
		a := m.put(history.OK, rev+2, "x").Then[0]
		b := m.put(history.Unknown, 0, "y")
		m.store("", record(rev+1, 0, b.Then[0]), record(rev+2, 0, a))
		return want{check: "order", op: b.ID, rev: rev + 1, text: "was known before it was invoked", only: true}
	},
	"write below the run's base": func(m *mutant) want {
		m.Meta.Base.Revision = m.head() + 5
		o := m.put(history.OK, m.head()+1, "x")
		m.store("", record(m.head()+1, 0, o.Then[0]))
		return want{check: "order", text: "the run began with it"}
	},
	"later write's read of the past": func(m *mutant) want {
		o := m.find("get", func(o *history.Op) bool {
			return o.Kind == history.KindKV && o.Then[0].Verb == history.Range && o.Then[0].Revision == 0 && !o.Then[0].Serializable && o.Then[0].End == ""
		})
		g := m.get(m.head(), o.Then[0].Key)
		g.Then[0].Revision = m.Meta.Base.Revision
		g.Results[0] = history.Result{Count: 1, KVs: []history.KV{{Key: o.Then[0].Key, Value: "x", ModRevision: 3, CreateRevision: 3, Version: 1}}}
		return want{check: "reads", op: g.ID, text: "which was not there", only: true}
	},
}

// TestMutants breaks several runs in every way, and looks for what must be said.
func TestMutants(t *testing.T) {
	for name, brk := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(3) {
				m := newMutant(t, seed+100)
				w := brk(m)
				w.test(t, judge(t, write(t, m.Run), nil))
			}
		})
	}
}
