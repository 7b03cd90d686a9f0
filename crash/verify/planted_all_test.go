package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// violations are what is crime in the recorded run of a real etcd, and what
// must be found.
var violations = map[string]func(p *crime) want{
	"an acknowledged put is lost": func(p *crime) want {
		o := p.aPut()
		p.drop("", o.Revision)
		return want{check: "durability", op: o.ID, rev: o.Revision, text: "is not in the store after recovery"}
	},
	"an acknowledged put is lost on one member": func(p *crime) want {
		o := p.aPut()
		p.drop("m2", o.Revision)
		return want{check: "durability", op: o.ID, rev: o.Revision, member: "m2", text: "is not in the store of m2"}
	},
	"an acknowledged delete is undone": func(p *crime) want {
		o := p.find("delete", above, alone(history.Delete, func(o *history.Op) bool { return o.Results[0].Deleted > 0 }))
		p.drop("", o.Revision)
		return want{check: "durability", op: o.ID, rev: o.Revision}
	},
	"a value is changed on every member": func(p *crime) want {
		o := p.aPut()
		p.records("", func(main, _ int64, kv *mvccpb.KeyValue) *mvccpb.KeyValue {
			if main == o.Revision {
				kv.Value[len(kv.Value)-1] ^= 1
			}
			return kv
		})
		return want{check: "durability", op: o.ID, rev: o.Revision, text: "not its bytes"}
	},
	"a value is changed on one member": func(p *crime) want {
		o := p.aPut()
		p.records("m3", func(main, _ int64, kv *mvccpb.KeyValue) *mvccpb.KeyValue {
			if main == o.Revision {
				kv.Value[len(kv.Value)-1] ^= 1
			}
			return kv
		})
		return want{check: "member-hash", rev: o.Revision, member: "m3"}
	},
	"a version is wrong on every member": func(p *crime) want {
		o := p.aPut()
		p.records("", func(main, _ int64, kv *mvccpb.KeyValue) *mvccpb.KeyValue {
			if main == o.Revision {
				kv.Version += 3
			}
			return kv
		})
		return want{check: "order", op: o.ID, rev: o.Revision, text: "version"}
	},
	"a key is attached to a lease that nobody gave it": func(p *crime) want {
		o := p.aPut()
		p.records("", func(main, _ int64, kv *mvccpb.KeyValue) *mvccpb.KeyValue {
			if main == o.Revision {
				kv.Lease = 0x1234
			}
			return kv
		})
		return want{check: "order", op: o.ID, rev: o.Revision, text: "lease"}
	},
	"a put is applied twice": func(p *crime) want {
		o := p.aPut()
		rev := p.head() + 1
		p.add(rev, &mvccpb.KeyValue{Key: []byte(o.Then[0].Key), Value: []byte(o.Then[0].Value), CreateRevision: rev, ModRevision: rev, Version: 1})
		return want{check: "durability", op: o.ID, rev: rev, text: "a second time"}
	},
	"a value that nobody wrote": func(p *crime) want {
		rev := p.head() + 1
		p.add(rev, &mvccpb.KeyValue{
			Key: []byte(p.run.Prefix + "phantom"), Value: []byte(history.Value(p.run.ID, 1, 1<<40, 0, 64)), CreateRevision: rev, ModRevision: rev, Version: 1,
		})
		return want{check: "durability", op: 1 << 40, rev: rev, text: "nobody wrote"}
	},
	"a refused put is in the store": func(p *crime) want {
		o := p.aPut()
		o.Outcome, o.Error, o.Results, o.Revision = history.Failed, "etcdserver: request is too large", nil, 0
		id := o.ID
		p.writeOps()
		return want{check: "durability", op: id, text: "was never to be done"}
	},
	"a revision is acknowledged to two writes": func(p *crime) want {
		o := p.aPut()
		other := p.find("other put", above, alone(history.Put, func(x *history.Op) bool { return x.ID != o.ID }))
		other.Revision = o.Revision
		p.writeOps()
		return want{check: "order", rev: o.Revision, text: "was acknowledged to two writes"}
	},
	"half of a transaction is applied": func(p *crime) want {
		o := p.find("transaction of two puts", above, func(o *history.Op) bool {
			return o.Kind == history.KindTxn && o.Succeeded && len(o.Then) > 1 && o.Then[0].Verb == history.Put && o.Then[1].Verb == history.Put
		})
		p.records("", func(main, sub int64, kv *mvccpb.KeyValue) *mvccpb.KeyValue {
			if main == o.Revision && sub == 1 {
				return nil
			}
			return kv
		})
		return want{check: "durability", op: o.ID, rev: o.Revision, text: "not all of it"}
	},
	"a stale linearizable read": func(p *crime) want {
		o := p.aGet(above)
		kv := &o.Results[0].KVs[0]
		for i := range p.store.Revisions {
			if r := &p.store.Revisions[i]; p.store.Keys[r.Key] == kv.Key && r.Main < kv.ModRevision && !r.Is(datadir.Tombstone) && r.Is(datadir.Named) {
				kv.Value = history.Value(p.run.ID, r.Client, r.Op, int(r.N), int(r.Size))
				kv.ModRevision, kv.Version, kv.CreateRevision = r.Main, r.Version, r.Create
			}
		}
		p.writeOps()
		return want{check: "order", op: o.ID, text: "with mod revision", only: true}
	},
	"a linearizable read that goes back in time, whole": func(p *crime) want {
		get := p.aGet(above)
		o := *get
		o.ID, o.Invoke, o.Return = 1<<41, p.Ops[len(p.Ops)-1].Return+1000, p.Ops[len(p.Ops)-1].Return+2000
		p.Ops = append(p.Ops, o)
		p.writeOps()
		return want{check: "order", op: o.ID, text: "was known before it was invoked"}
	},
	"a read below the compaction, answered wrongly when it was not yet compacted": func(p *crime) want {
		o := p.aGet(below)
		o.Results[0].KVs[0].Version++
		p.writeOps()
		return want{check: "order", op: o.ID, text: "it answered version", only: true}
	},
	"a serializable read of what never was": func(p *crime) want {
		o := p.find("serializable read", anywhere, alone(history.Range, func(o *history.Op) bool {
			return o.Then[0].Serializable && o.Then[0].Revision == 0 && len(o.Results[0].KVs) > 0 && o.Then[0].End == ""
		}))
		o.Results[0].KVs[0].ModRevision--
		p.writeOps()
		return want{check: "reads", op: o.ID, only: true}
	},
	"a historical read of what never was": func(p *crime) want {
		o := p.find("historical read", anywhere, alone(history.Range, func(o *history.Op) bool {
			return o.Then[0].Revision > 0 && len(o.Results[0].KVs) > 0 && o.Then[0].End == ""
		}))
		o.Results[0].KVs[0].CreateRevision--
		p.writeOps()
		return want{check: "reads", op: o.ID, text: "create revision", only: true}
	},
	"a transaction took the other branch": func(p *crime) want {
		o := p.find("transaction that only reads else", anywhere, func(o *history.Op) bool {
			return o.Kind == history.KindTxn && !o.Succeeded && len(o.Compares) == 1 && len(o.Else) == 1 && o.Else[0].Verb == history.Range
		})
		o.Succeeded, o.Then = true, o.Else
		p.writeOps()
		return want{check: "transactions", op: o.ID, text: "says that its compares held", only: true}
	},
	"a nested transaction took the other branch": func(p *crime) want {
		o := p.find("nested transaction", anywhere, func(o *history.Op) bool {
			i := nestedWithReads(o)
			return i >= 0
		})
		i := nestedWithReads(o)
		side := &o.Then
		if !o.Succeeded {
			side = &o.Else
		}
		b := (*side)[i].Txn
		b.Then, b.Else = b.Else, b.Then
		o.Results[i].Succeeded = !o.Results[i].Succeeded
		p.writeOps()
		return want{check: "transactions", op: o.ID}
	},
	"a read in a transaction does not see the put before it": func(p *crime) want {
		o := p.find("transaction that puts and reads", anywhere, func(o *history.Op) bool {
			return o.Kind == history.KindTxn && o.Succeeded && len(o.Then) == 2 && o.Then[0].Verb == history.Put && o.Then[1].Verb == history.Range &&
				o.Then[1].Key == o.Then[0].Key && o.Then[1].End == "" && len(o.Results[1].KVs) == 1
		})
		o.Results[1].KVs[0].Value = "something else"
		p.writeOps()
		return want{check: "transactions", op: o.ID, text: "a state that never was", only: true}
	},
	"a delete counts wrongly": func(p *crime) want {
		o := p.find("delete", anywhere, alone(history.Delete, func(o *history.Op) bool { return o.Results[0].Deleted > 0 }))
		o.Results[0].Deleted++
		p.writeOps()
		return want{check: "order", op: o.ID, rev: o.Revision, text: "deleted"}
	},
	"the previous value of a put is wrong": func(p *crime) want {
		o := p.find("put with prev-kv", anywhere, alone(history.Put, func(o *history.Op) bool { return o.Then[0].Prev && len(o.Results[0].KVs) == 1 }))
		o.Results[0].KVs[0].Version++
		p.writeOps()
		return want{check: "order", op: o.ID, rev: o.Revision, text: "it answered version", only: true}
	},
	"a count is wrong": func(p *crime) want {
		o := p.find("count-only range", anywhere, alone(history.Range, func(o *history.Op) bool { return o.Then[0].CountOnly && o.Then[0].Revision == 0 }))
		o.Results[0].Count++
		p.writeOps()
		return want{check: "order", op: o.ID, text: "it counted", only: true}
	},
	"a sorted range is out of order": func(p *crime) want {
		o := p.find("sorted range", anywhere, alone(history.Range, func(o *history.Op) bool {
			q, kvs := &o.Then[0], o.Results[0].KVs
			return q.Sort == history.SortMod && q.Revision == 0 && len(kvs) > 1
		}))
		kvs := o.Results[0].KVs
		kvs[0], kvs[1] = kvs[1], kvs[0]
		p.writeOps()
		return want{check: "order", op: o.ID, text: "sorted by mod", only: true}
	},
	"a range leaves a key out": func(p *crime) want {
		o := p.find("range", anywhere, alone(history.Range, func(o *history.Op) bool {
			q := &o.Then[0]
			return q.End != "" && q.Revision == 0 && !q.Serializable && !sortedRequest(q) && len(o.Results[0].KVs) > 2
		}))
		r := &o.Results[0]
		r.KVs = append(r.KVs[:1:1], r.KVs[2:]...)
		p.writeOps()
		return want{check: "order", op: o.ID, text: "it did not answer", only: true}
	},
	"a compaction took a live key": func(p *crime) want {
		rev := p.survivor()
		p.drop("", rev)
		return want{check: "compaction", rev: rev, text: "after the compaction at revision"}
	},
	"a compaction left a superseded value live": func(p *crime) want {
		rev := p.survivor()
		p.records("", func(main, _ int64, kv *mvccpb.KeyValue) *mvccpb.KeyValue {
			if main == rev {
				kv.Version--
			}
			return kv
		})
		return want{check: "compaction", rev: rev}
	},
	"a read below a compaction that was acknowledged before it": func(p *crime) want {
		o := p.find("historical read", anywhere, alone(history.Range, func(o *history.Op) bool {
			return o.Then[0].Revision > p.compacted() && o.Then[0].Revision < p.head() && !o.Then[0].Serializable
		}))
		o.Then[0].Revision = p.run.Base.Revision + 1
		o.Results[0] = history.Result{}
		id := o.ID
		p.writeOps()
		return want{check: "compaction", op: id}
	},
	"an acknowledged compaction is undone": func(p *crime) want {
		p.db("", func(tx *bolt.Tx) error {
			meta := tx.Bucket([]byte("meta"))
			return errors.Join(meta.Delete([]byte("scheduledCompactRev")), meta.Delete([]byte("finishedCompactRev")))
		})
		return want{check: "compaction"}
	},
	"a member answered another hash at a compaction": func(p *crime) want {
		for i := range p.Ops {
			o := &p.Ops[i]
			if o.Kind != history.KindHash || o.Outcome != history.OK {
				continue
			}
			for j := range p.Ops[:i] {
				other := &p.Ops[j]
				if other.Kind == history.KindHash && other.Outcome == history.OK && other.Member != o.Member &&
					other.Call.Revision == o.Call.Revision && other.Call.CompactRevision == o.Call.CompactRevision {
					o.Call.Hash++
					p.writeOps()
					return want{check: "member-hash", rev: o.Call.Revision, only: true}
				}
			}
		}
		p.t.Fatal("no two members were asked for the same hash")
		return want{}
	},
	"a lease is on one member alone": func(p *crime) want {
		p.db("m2", func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("lease")).Put([]byte{0, 0, 0, 0, 0, 0, 0x12, 0x34}, []byte{8, 0xb4, 0x24, 16, 60})
		})
		return want{check: "members", member: "m2"}
	},
	"a user is on one member alone": func(p *crime) want {
		p.db("m3", func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("authUsers")).Put([]byte("eve"), []byte{10, 3, 'e', 'v', 'e'})
		})
		return want{check: "members", member: "m3", only: true}
	},
	"a record between others is missing": func(p *crime) want {
		o := p.aPut()
		o.Outcome, o.Error, o.Results, o.Revision = history.Unknown, "context deadline exceeded", nil, p.aPut().Revision
		rev := o.Revision
		o.Revision = 0
		p.writeOps()
		p.drop("", rev)
		return want{check: "durability", rev: rev, text: "missing from the store"}
	},
	"a member's hash is stale": func(p *crime) want {
		p.final(func(f *history.Final) { f.Members[1].Hash++ })
		return want{check: "member-hash", member: "m2", text: "KV hash", only: true}
	},
	"a byte of a live page's structure": func(p *crime) want {
		p.bytes(dataFile("m1", "snap", "db"), func(b []byte) { b[livePage(p.t, b)+8] ^= 0x10 })
		return want{check: "disk", member: "m1"}
	},
	"a byte in a WAL record's body": func(p *crime) want {
		p.bytes(p.segment("m2"), func(b []byte) {
			at := walFrames(b)
			b[at[len(at)/2]+20] ^= 0x20
		})
		return want{check: "disk", member: "m2", text: "damaged", only: true}
	},
	"a byte in a WAL record's length": func(p *crime) want {
		p.bytes(p.segment("m2"), func(b []byte) {
			at := walFrames(b)
			b[at[len(at)/2]+1] ^= 0x20
		})
		return want{check: "disk", member: "m2", only: true}
	},
	"the db is ahead of the log": func(p *crime) want {
		p.db("m3", func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("meta")).Put([]byte("consistent_index"), []byte{0, 0, 0, 1, 0, 0, 0, 0})
		})
		return want{check: "disk", member: "m3", text: "but the log ends at entry"}
	},
	"an alarm of corruption": func(p *crime) want {
		p.final(func(f *history.Final) { f.Members[0].Alarms = append(f.Members[0].Alarms, "CORRUPT on member 1") })
		return want{check: "etcd-checks", text: "CORRUPT", only: true}
	},
	"a data race in a log": func(p *crime) want {
		log := history.Dir(p.dir).Log("m1")
		rel := log[len(p.dir)+1:]
		p.bytes(rel, func(b []byte) { copy(b[len(b)-40:], "\nWARNING: DATA RACE\nRead at 0x00c000\n") })
		return want{check: "etcd-checks", member: "m1", only: true}
	},
	"a member that never serves again": func(p *crime) want {
		p.events(func(events []history.Event) []history.Event {
			for i := range events {
				if events[i].Kind == history.EventServing && events[i].Member == "m1" && i > 8 {
					return append(events[:i:i], events[i+1:]...)
				}
			}
			return events
		})
		p.final(func(f *history.Final) { f.Members[0].Serving, f.Members[0].Error = false, "no answer" })
		return want{check: "recovery", member: "m1"}
	},
}

func sortedRequest(q *history.Request) bool {
	return q.Sort != history.SortKey || q.Order == history.Descend
}

// nestedWithReads is the request of the side that ran which is a transaction of
// reads alone, as many on both sides; -1: there is none.
func nestedWithReads(o *history.Op) int {
	if o.Kind != history.KindTxn || o.Outcome != history.OK {
		return -1
	}
	side := o.Then
	if !o.Succeeded {
		side = o.Else
	}
	for i := range side {
		if side[i].Verb == history.Txn && len(side[i].Txn.Compares) > 0 {
			return i
		}
	}
	return -1
}

// survivor is the revision of a key of the run that a compaction left.
func (p *crime) survivor() int64 {
	for i := range p.store.Revisions {
		r := &p.store.Revisions[i]
		if r.Main > p.run.Base.Revision && r.Main < p.compacted() && r.Is(datadir.Named) && r.Version > 1 {
			return r.Main
		}
	}
	p.t.Fatal("the compaction left nothing of the run")
	return 0
}

// livePage is the offset of the page that the valid meta page names as root's
// first leaf: damage there cannot be overlooked.
func livePage(t *testing.T, b []byte) int {
	const page = 4096
	root := uint64(0)
	newest := uint64(0)
	for m := range 2 {
		meta := b[m*page+16:]
		txid := le64(meta[48:])
		if txid >= newest {
			newest, root = txid, le64(meta[16:])
		}
	}
	if root == 0 {
		t.Fatal("no meta page")
	}
	return int(root) * page
}

func le64(b []byte) (n uint64) {
	for i := 7; i >= 0; i-- {
		n = n<<8 | uint64(b[i])
	}
	return n
}

func TestViolations(t *testing.T) {
	dir := recordRun(t, everything(t), 8000)
	exe := child(t)
	if v := judge(t, dir, exe); v.Verdict != Pass {
		t.Fatalf("as it was recorded:\n%s", show(v))
	}
	run, err := history.ReadRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	store, err := datadir.Inspect(context.Background(), nil, datadir.Query{Dir: history.Dir(dir).Data("m1"), Prefix: run.Prefix, RunID: run.ID})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(t.Output(), "compacted at %d, newest revision %d\n", store.Report.DB.Compacted(), store.Report.DB.Revision)
	all := maps.Clone(violations)
	maps.Copy(all, serviceViolations)
	for name, violate := range watchViolations {
		all[name] = func(p *crime) (w want) {
			p.told("m2", func(recs []history.WatchRecord, mine []int) []history.WatchRecord {
				recs, w = violate(p, recs, mine)
				return recs
			})
			w.check, w.only = checkWatch, true
			return w
		}
	}
	for name, violate := range all {
		t.Run(name, func(t *testing.T) {
			p := commit(t, dir, store)
			w := violate(p)
			w.test(t, judge(t, p.dir, exe))
		})
	}
}
