package verify

import (
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/etcdlab/etcdlab/crash/history"
)

// told changes what the recorder at a member was told. mine are its records
// that hold the events of one revision each, above the compaction.
func (p *crime) told(member string, change func(recs []history.WatchRecord, mine []int) []history.WatchRecord) {
	p.t.Helper()
	p.watches(func(recs []history.WatchRecord) []history.WatchRecord {
		recorders := make(map[uint64]bool)
		var mine []int
		for i := range recs {
			r := &recs[i]
			if r.Kind == history.WatchOpened && r.Request.Recorder && r.Member == member {
				recorders[r.Watch] = true
			}
			if !recorders[r.Watch] || r.Kind != history.WatchEvents || r.Events[0].KV.ModRevision <= p.compacted() {
				continue
			}
			if r.Events[0].KV.ModRevision == r.Events[len(r.Events)-1].KV.ModRevision {
				mine = append(mine, i)
			}
		}
		if len(mine) < 20 {
			p.t.Fatalf("the recorder at %s has only %d records", member, len(mine))
		}
		return change(recs, mine[5:len(mine)-5])
	})
}

// first is the first of the records whose event is as wanted.
func (p *crime) first(recs []history.WatchRecord, mine []int, want func(*history.WatchRecord) bool) int {
	p.t.Helper()
	for _, i := range mine {
		if want(&recs[i]) {
			return i
		}
	}
	p.t.Fatal("the recorder was told of nothing of the kind")
	return 0
}

// beforeClosed puts in a record as the last that a watch was told.
func beforeClosed(recs []history.WatchRecord, r history.WatchRecord) []history.WatchRecord {
	for i := range recs {
		if recs[i].Watch == r.Watch && recs[i].Kind == history.WatchClosed {
			r.Time = recs[i].Time
			return slices.Insert(recs, i, r)
		}
	}
	return append(recs, r)
}

func aPutAlone(r *history.WatchRecord) bool { return len(r.Events) == 1 && !r.Events[0].Delete }

// watchViolations are planted in what the recorder at m2 was told.
var watchViolations = map[string]func(p *crime, recs []history.WatchRecord, mine []int) ([]history.WatchRecord, want){
	"a watch leaves a revision out": func(p *crime, recs []history.WatchRecord, mine []int) ([]history.WatchRecord, want) {
		i := p.first(recs, mine, aPutAlone)
		rev := recs[i].Events[0].KV.ModRevision
		return slices.Delete(recs, i, i+1), want{rev: rev, text: "able: the recorder"}
	},
	"a watch tells of a revision twice": func(p *crime, recs []history.WatchRecord, mine []int) ([]history.WatchRecord, want) {
		i := p.first(recs, mine, aPutAlone)
		return slices.Insert(recs, i+1, recs[i]), want{rev: recs[i].Events[0].KV.ModRevision, text: "unique: the recorder"}
	},
	"a watch tells of two revisions in the wrong order": func(p *crime, recs []history.WatchRecord, mine []int) ([]history.WatchRecord, want) {
		i, j := mine[0], mine[1]
		recs[i].Events, recs[j].Events = recs[j].Events, recs[i].Events
		return recs, want{text: "ordered: the recorder"}
	},
	"a watch splits a revision": func(p *crime, recs []history.WatchRecord, mine []int) ([]history.WatchRecord, want) {
		i := p.first(recs, mine, func(r *history.WatchRecord) bool { return len(r.Events) > 1 })
		recs[i].Events = recs[i].Events[:1]
		return recs, want{rev: recs[i].Events[0].KV.ModRevision, text: "atomic: the recorder"}
	},
	"a bookmark comes before what it covers": func(p *crime, recs []history.WatchRecord, mine []int) ([]history.WatchRecord, want) {
		i := p.first(recs, mine, aPutAlone)
		mark := recs[i]
		mark.Kind, mark.Revision, mark.Events = history.WatchProgress, recs[i].Events[0].KV.ModRevision, nil
		return slices.Insert(recs, i, mark), want{rev: mark.Revision, text: "bookmarkable: the recorder"}
	},
	"an event comes before its write was asked for": func(p *crime, recs []history.WatchRecord, mine []int) ([]history.WatchRecord, want) {
		i := p.first(recs, mine, aPutAlone)
		for j := range recs[:i+1] {
			if recs[j].Watch == recs[i].Watch {
				recs[j].Time = min(recs[j].Time, p.run.Start)
			}
		}
		return recs, want{}
	},
	"a watch tells of another value": func(p *crime, recs []history.WatchRecord, mine []int) ([]history.WatchRecord, want) {
		i := p.first(recs, mine, func(r *history.WatchRecord) bool { return aPutAlone(r) && len(r.Events[0].KV.Value) > 1 })
		recs[i].Events[0].KV.Value = recs[i].Events[0].KV.Value[1:]
		return recs, want{rev: recs[i].Events[0].KV.ModRevision}
	},
	"a watch tells of a new key as of an old one": func(p *crime, recs []history.WatchRecord, mine []int) ([]history.WatchRecord, want) {
		i := p.first(recs, mine, aPutAlone)
		recs[i].Events[0].KV.CreateRevision--
		return recs, want{rev: recs[i].Events[0].KV.ModRevision}
	},
	"a previous value is wrong": func(p *crime, recs []history.WatchRecord, mine []int) ([]history.WatchRecord, want) {
		i := p.first(recs, mine, func(r *history.WatchRecord) bool { return aPutAlone(r) && r.Events[0].Prev != nil })
		recs[i].Events[0].Prev.Version++
		return recs, want{rev: recs[i].Events[0].KV.ModRevision, text: "prev-kv: the recorder"}
	},
	"a delete comes through a filter": func(p *crime, recs []history.WatchRecord, mine []int) ([]history.WatchRecord, want) {
		i := p.first(recs, mine, func(r *history.WatchRecord) bool { return len(r.Events) == 1 && r.Events[0].Delete })
		for j := range recs {
			if recs[j].Watch == recs[i].Watch && recs[j].Request != nil {
				recs[j].Request.NoDelete = true
			}
		}
		return recs, want{}
	},
	"a watch begins before its start": func(p *crime, recs []history.WatchRecord, mine []int) ([]history.WatchRecord, want) {
		i := mine[len(mine)/2]
		for j := range recs {
			if recs[j].Watch == recs[i].Watch && recs[j].Request != nil {
				recs[j].Request.Start = recs[i].Events[0].KV.ModRevision
			}
		}
		return recs, want{}
	},
	"an event is of a revision that the store lost": func(p *crime, recs []history.WatchRecord, mine []int) ([]history.WatchRecord, want) {
		last := recs[mine[len(mine)-1]]
		last.Time = recs[len(recs)-1].Time
		e := last.Events[0]
		e.KV.ModRevision, e.KV.CreateRevision, e.KV.Version, e.Prev = p.head()+7, p.head()+7, 1, nil
		last.Events = []history.WatchEvent{e}
		return beforeClosed(recs, last), want{rev: p.head() + 7}
	},
	"a cancellation names a compaction that nobody asked for": func(p *crime, recs []history.WatchRecord, mine []int) ([]history.WatchRecord, want) {
		end := recs[mine[len(mine)-1]]
		end.Time, end.Kind, end.Events, end.CompactRevision = recs[len(recs)-1].Time, history.WatchCanceled, nil, p.head()+1000
		return beforeClosed(recs, end), want{}
	},
}

// serviceViolations are of leases, locks and users.
var serviceViolations = map[string]func(p *crime) want{
	"a lease ends before its time": func(p *crime) want {
		leases := p.expired()
		for i := range p.Ops {
			o := &p.Ops[i]
			if o.Kind == history.KindLeaseGrant && o.Outcome == history.OK && leases[o.Call.Lease] {
				o.Call.TTL = 3600
			}
		}
		p.writeOps()
		return want{check: "leases"}
	},
	"a key survives the revocation of its lease": func(p *crime) want {
		o := p.aPut()
		lease := p.attach(o, 3600)
		p.call(history.KindLeaseRevoke, &history.Call{Lease: lease}, o.Return+1000)
		p.writeOps()
		return want{check: "leases"}
	},
	"a lease is forgotten": func(p *crime) want {
		p.call(history.KindLeaseGrant, &history.Call{Lease: 0x7777, TTL: 3600}, p.Ops[len(p.Ops)/2].Return)
		p.call(history.KindLeaseTTL, &history.Call{Lease: 0x7777, TTL: -1}, p.Ops[len(p.Ops)-1].Return+1000)
		p.writeOps()
		return want{check: "leases"}
	},
	"a lock is acknowledged and nowhere": func(p *crime) want {
		o := p.lock()
		again := *o
		call := *o.Call
		again.ID, again.Call = 1<<42, &call
		call.Lease, call.Key = 0x7778, call.Name+"/7778"
		p.Ops = append(p.Ops, again)
		p.writeOps()
		return want{check: "locks"}
	},
	"a lock has two holders": func(p *crime) want {
		there := &planted{crime: p, gone: p.owners()}
		for i := range p.Ops {
			o := &p.Ops[i]
			if o.Kind == history.KindLock && o.Outcome == history.OK && there.waited(o) {
				// It waited for one who was there before, and says that it did not.
				o.Revision = o.Call.Revision
				p.writeOps()
				return want{check: "locks"}
			}
		}
		p.t.Fatal("nobody waited for a lock")
		return want{}
	},
	"an owner's key that nobody asked for": func(p *crime) want {
		o := p.lock()
		key, id := o.Call.Key, o.ID
		p.Ops = slices.DeleteFunc(p.Ops, func(x history.Op) bool { return x.Call != nil && x.Call.Key == key || x.ID == id })
		p.writeOps()
		return want{check: "locks"}
	},
}

// expired are the leases whose keys died without anyone's revocation.
func (p *crime) expired() map[int64]bool {
	leases := make(map[int64]bool)
	for i := range p.Ops {
		if o := &p.Ops[i]; o.Kind == history.KindLeaseGrant && o.Outcome == history.OK {
			leases[o.Call.Lease] = true
		}
	}
	for i := range p.Ops {
		if o := &p.Ops[i]; o.Kind == history.KindLeaseRevoke && o.Outcome != history.Failed {
			delete(leases, o.Call.Lease)
		}
	}
	if len(leases) == 0 {
		p.t.Fatal("no lease ended by itself")
	}
	return leases
}

// call adds an acknowledged operation of another service at a time.
func (p *crime) call(kind history.Kind, c *history.Call, at int64) {
	p.Ops = append(p.Ops, history.Op{
		ID: 1<<43 + uint64(len(p.Ops)), Client: 1, Member: "m2", Kind: kind, Call: c, Invoke: at, Return: at + 1000,
		Outcome: history.OK, Revision: p.head(), RaftTerm: 2, MemberID: p.run.Members[1].ID,
	})
}

// lock is an acknowledged lock whose key is only in what the chronicle tells.
func (p *crime) lock() *history.Op {
	p.t.Helper()
	for i := len(p.Ops) * 9 / 10; i >= 0; i-- {
		if o := &p.Ops[i]; o.Kind == history.KindLock && o.Outcome == history.OK {
			return o
		}
	}
	p.t.Fatal("nobody held a lock")
	return nil
}

// attach makes a put one with a lease, in the history and in every store.
func (p *crime) attach(o *history.Op, ttl int64) int64 {
	const lease = 0x7779
	p.call(history.KindLeaseGrant, &history.Call{Lease: lease, TTL: ttl}, o.Invoke-2000)
	for i := range p.Ops {
		if p.Ops[i].ID == o.ID {
			o = &p.Ops[i]
		}
	}
	o.Then[0].Lease = lease
	rev := o.Revision
	p.records("", func(main, _ int64, kv *mvccpb.KeyValue) *mvccpb.KeyValue {
		if main == rev {
			kv.Lease = lease
		}
		return kv
	})
	return lease
}
