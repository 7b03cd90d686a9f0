package verify

import (
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/traffic"
)

// planted is a crime in a run with leases and locks.
type planted struct {
	*crime
	gone map[string][2]int64 // keys, and when they were made and deleted
}

// some finds an operation in the last third, whose leader is known.
func (p *planted) some(what string, want func(*history.Op) bool) *history.Op {
	p.t.Helper()
	for i := len(p.Ops) * 2 / 3; i < len(p.Ops); i++ {
		if o := &p.Ops[i]; o.Outcome == history.OK && want(o) {
			return o
		}
	}
	p.t.Fatalf("the run has no %s", what)
	return nil
}

func (p *planted) count(kind history.Kind, lease int64) (n int) {
	for i := range p.Ops {
		if o := &p.Ops[i]; o.Kind == kind && o.Call.Lease == lease {
			n++
		}
	}
	return n
}

func (p *planted) attached(lease int64) (n int) {
	for i := range p.Ops {
		o := &p.Ops[i]
		if o.Outcome != history.OK {
			continue
		}
		for _, r := range o.Then {
			if r.Verb == history.Put && r.Lease == lease {
				n++
			}
		}
	}
	return n
}

// waited says whether an older owner's key was there when the owner's was made,
// by what the recorders were told: that a lock was let go does not prove that its
// key was still there.
func (p *planted) waited(o *history.Op) bool {
	for key, gone := range p.gone {
		if strings.HasPrefix(key, o.Call.Name+"/") && key != o.Call.Key && gone[0] < o.Call.Revision && gone[1] > o.Call.Revision {
			return true
		}
	}
	return false
}

// owners gives the revisions at which the keys of locks and elections were made
// and deleted.
func (p *crime) owners() map[string][2]int64 {
	p.t.Helper()
	lives := make(map[string][2]int64)
	for _, rec := range p.recorded() {
		for _, e := range rec.Events {
			life := lives[e.KV.Key]
			if e.Delete {
				life[1] = e.KV.ModRevision
			} else {
				life[0] = e.KV.CreateRevision
			}
			lives[e.KV.Key] = life
		}
	}
	return lives
}

// inRealRuns are violations planted in what a real etcd answered.
var inRealRuns = map[string]func(p *planted) want{
	"a lease that had longer to live": func(p *planted) want {
		o := p.some("lease that ended with its keys", func(o *history.Op) bool {
			return o.Kind == history.KindLeaseGrant && p.count(history.KindLeaseRevoke, o.Call.Lease) == 0 && p.attached(o.Call.Lease) > 3 &&
				p.count(history.KindLeaseKeepAlive, o.Call.Lease) == 0
		})
		o.Call.TTL = 600
		return want{check: "leases", op: o.ID, text: "nobody revoked it"}
	},
	"a lease that is not there": func(p *planted) want {
		o := p.some("question about a lease just granted", func(o *history.Op) bool {
			return o.Kind == history.KindLeaseTTL && o.Call.Granted > 1 && o.Call.TTL >= 1
		})
		o.Call.TTL, o.Call.Granted, o.Call.List = -1, 0, nil
		return want{check: "leases", op: o.ID, text: "says that there is no lease"}
	},
	"keys that outlive a revocation": func(p *planted) want {
		o := p.some("question about a lease with keys", func(o *history.Op) bool {
			return o.Kind == history.KindLeaseTTL && len(o.Call.List) > 1 && p.count(history.KindLeaseRevoke, o.Call.Lease) == 0
		})
		o.Kind, o.Call = history.KindLeaseRevoke, &history.Call{Lease: o.Call.Lease}
		return want{check: "leases", op: o.ID, text: "being attached to it still"}
	},
	"a key that is not attached": func(p *planted) want {
		o := p.some("question about a lease with keys", func(o *history.Op) bool { return o.Kind == history.KindLeaseTTL && len(o.Call.List) > 0 })
		o.Call.List = append(o.Call.List, p.run.Prefix+"zzz")
		return want{check: "leases", op: o.ID, text: "was not attached to it"}
	},
	"a lease that lives a minute too long": func(p *planted) want {
		o := p.some("lease that nobody renewed", func(o *history.Op) bool {
			return o.Kind == history.KindLeaseGrant && p.count(history.KindLeaseKeepAlive, o.Call.Lease) == 0 && p.attached(o.Call.Lease) > 0
		})
		// It was granted a minute before all else, in which clients were answered.
		begin := p.run.Start - 60*second
		id, at := o.ID, begin
		o.Invoke, o.Return, o.Revision, o.RaftTerm = at, at+1000, p.run.Base.Revision, p.Ops[0].RaftTerm
		for n := range uint64(59) {
			at += second
			p.Ops = append(p.Ops, history.Op{
				ID: 1<<41 + n, Client: 1, Member: "m1", MemberID: p.run.Members[0].ID, Then: []history.Request{{Verb: history.Range, Key: p.run.Prefix + "nothing"}},
				Invoke: at, Return: at + 1000, Outcome: history.OK, Revision: p.run.Base.Revision, RaftTerm: p.Ops[0].RaftTerm, Results: []history.Result{{}},
			})
		}
		return want{check: "leases", op: id, text: "overdue for"}
	},
	"a lock held by two": func(p *planted) want {
		o := p.some("lock that was waited for", func(o *history.Op) bool { return o.Kind == history.KindLock && p.waited(o) })
		o.Revision = o.Call.Revision
		return want{check: "locks", op: o.ID, text: "has two holders"}
	},
	"an election won by two": func(p *planted) want {
		o := p.some("campaign that was waited for", func(o *history.Op) bool { return o.Kind == history.KindCampaign && p.waited(o) })
		o.Revision = o.Call.Revision
		return want{check: "locks", op: o.ID, text: "has two holders"}
	},
	"another who leads": func(p *planted) want {
		o := p.some("leader", func(o *history.Op) bool { return o.Kind == history.KindLeader && o.Call.Key != "" })
		o.Call.Key = o.Call.Name + "/77"
		return want{check: "locks", op: o.ID, text: "the oldest key"}
	},
	"a lock let go and still there": func(p *planted) want {
		o := p.some("unlock", func(o *history.Op) bool { return o.Kind == history.KindUnlock && o.Call.Revision < o.Revision-1 })
		o.Revision = o.Call.Revision
		return want{check: "locks", op: o.ID}
	},
	"a lock that nobody asked for": func(p *planted) want {
		o := p.some("lock", func(o *history.Op) bool { return o.Kind == history.KindLock })
		id, rev := o.ID, o.Call.Revision
		p.Ops = slices.DeleteFunc(p.Ops, func(x history.Op) bool { return x.ID == id })
		return want{check: "locks", rev: rev, text: "nobody asked for"}
	},
	"a proclamation of something else": func(p *planted) want {
		o := p.some("proclamation", func(o *history.Op) bool { return o.Kind == history.KindProclaim })
		o.Call.Value += "!"
		return want{check: "locks", op: o.ID, text: "which holds"}
	},
}

func TestPlantedLeasesAndLocks(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs a real etcd")
	}
	dir := recordRun(t, traffic.Profile{
		Name: "leases-and-locks",
		Mix: map[string]int{
			"put-lease": 40, "put": 10, "get": 15, "lease-grant": 12, "lease-keep-alive": 5, "lease-revoke": 2, "lease-ttl": 20,
			"lock": 8, "election": 8, "leader": 8,
		},
		PerMember: 5, Keys: 200, LeaseTTLs: []int{1, 2, 5}, Leases: 48,
	}, 9000)
	v := judge(t, dir, child(t))
	for _, name := range []string{"leases", "locks"} {
		if check(v, name).Verdict != Pass {
			t.Fatalf("a real etcd does not pass\n%s", show(v))
		}
		t.Log(check(v, name).Detail)
	}
	for name, plant := range inRealRuns {
		t.Run(name, func(t *testing.T) {
			p := &planted{crime: commit(t, dir, nil)}
			p.gone = p.owners()
			w := plant(p)
			p.writeOps()
			w.test(t, judge(t, p.dir, child(t)))
		})
	}
}
