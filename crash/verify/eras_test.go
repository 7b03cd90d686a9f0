package verify

import (
	"math"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
)

// newLife has a member join anew, as another.
func (m *mutant) newLife(kind history.EventKind, member string, id uint64, revision int64) {
	m.now += 1_000_000
	m.Events = append(m.Events, history.Event{Time: m.now, Kind: kind, Member: member, ID: id, Revision: revision})
	m.now += 1_000_000
}

func (m *mutant) rebuiltAt(revision int64) {
	at := m.now + 1_000_000
	for _, x := range m.Meta.Members {
		m.Events = append(m.Events, history.Event{Time: at, Kind: history.EventRebuilt, Member: x.Name, Revision: revision})
	}
	m.now = at + 1_000_000
}

// eraMutants are violations by clusters whose members became others.
var eraMutants = map[string]func(m *mutant) want{
	"a term is lost by the new member": func(m *mutant) want {
		m.newLife(history.EventJoined, "m3", 0xabc, 0)
		o := m.asks("m3", history.KindStatus, "", history.Call{})
		o.RaftTerm, o.MemberID = 9, 0xabc
		return want{check: "disk", member: "m3", text: "m3: it answered in raft term 9", only: true}
	},
	"a term is lost by another": func(m *mutant) want {
		m.asks("m2", history.KindStatus, "", history.Call{}).RaftTerm = 9
		m.newLife(history.EventJoined, "m3", 0xabc, 0)
		return want{check: "disk", member: "m2", text: "m2: it answered in raft term 9", only: true}
	},
	"a write is lost that the snapshot had": func(m *mutant) want {
		o := m.aPut()
		m.drop("", o.Revision)
		m.rebuiltAt(m.head())
		return want{check: "durability", op: o.ID, rev: o.Revision, text: "is not in the store after recovery"}
	},
	"a write after the rebuilding is lost": func(m *mutant) want {
		m.rebuiltAt(m.head())
		o := m.put(history.OK, m.head()+1, "x")
		return want{check: "durability", op: o.ID, rev: o.Revision, text: "the newest revision is"}
	},
	"members differ after the last change": func(m *mutant) want {
		m.newLife(history.EventJoined, "m3", 0xabc, 0)
		m.Events = append(m.Events, history.Event{Time: m.now, Kind: history.EventRoundEnd, Round: 1, Figures: &history.Figures{Fault: "member-remove-add", Observed: true}})
		m.asks("m1", history.KindMembers, "", history.Call{List: []string{"7 m7 voter http://m7"}})
		m.asks("m2", history.KindMembers, "", history.Call{List: []string{"8 m8 voter http://m8"}})
		return want{check: "members", text: "http://m8"}
	},
}

func TestEraMutants(t *testing.T) {
	for name, brk := range eraMutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMutant(t, 950)
			w := brk(m)
			w.test(t, judge(t, write(t, m.Run), nil))
		})
	}
}

// eraCases must not fail.
var eraCases = map[string]func(m *mutant) want{
	"a term of the member that is no more": func(m *mutant) want {
		m.asks("m3", history.KindStatus, "", history.Call{}).RaftTerm = 9
		m.newLife(history.EventJoined, "m3", 0xabc, 0)
		m.asks("m3", history.KindStatus, "", history.Call{}).MemberID = 0xabc
		return want{result: Pass}
	},
	"terms of a cluster that is no more": func(m *mutant) want {
		m.asks("m1", history.KindStatus, "", history.Call{}).RaftTerm = 40
		m.rebuiltAt(m.head())
		return want{result: Pass}
	},
	"members before the last change": func(m *mutant) want {
		m.asks("m1", history.KindMembers, "", history.Call{List: []string{"7 m7 voter http://m7"}})
		m.newLife(history.EventJoined, "m3", 0xabc, 0)
		m.asks("m1", history.KindMembers, "", history.Call{List: []string{"8 m7 voter http://m7"}})
		m.Events = append(m.Events, history.Event{Time: m.now, Kind: history.EventRoundEnd, Round: 1, Figures: &history.Figures{Fault: "member-remove-add", Observed: true}})
		return want{result: Pass}
	},
	"what is newer than the snapshot is lost": func(m *mutant) want {
		o := m.put(history.OK, m.head()+1, "x")
		m.rebuiltAt(o.Revision - 1)
		return want{check: "durability", result: Inconclusive, text: "nobody promised to keep"}
	},
	"its revision is given away": func(m *mutant) want {
		a := m.put(history.OK, m.head()+1, "x")
		m.rebuiltAt(a.Revision - 1)
		b := m.put(history.OK, a.Revision, "y")
		m.store("", record(b.Revision, 0, b.Then[0]))
		return want{check: "durability", result: Inconclusive, text: "nobody promised to keep"}
	},
}

func TestEraCases(t *testing.T) {
	for name, brk := range eraCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMutant(t, 960)
			w := brk(m)
			v := judge(t, write(t, m.Run), nil)
			if w.result != Pass {
				w.test(t, v)
			} else if v.Verdict != Pass {
				t.Fatal(show(v))
			}
		})
	}
}

func TestEraTerms(t *testing.T) {
	run := &history.Run{Members: []history.Member{{Name: "m1", ID: 1}}}
	e := erasOf(run, &history.Final{Members: []history.FinalMember{{Name: "m1", ID: 5}}}, []history.Event{
		{Time: 10, Kind: history.EventJoined, Member: "m1", ID: 3},
		{Time: 20, Kind: history.EventRebuilt, Member: "m1", Revision: 7},
		{Time: 30, Kind: history.EventRebuilt, Member: "m1", Revision: 9},
	})
	last := uint64(0)
	for _, c := range []struct {
		term uint64
		at   int64
	}{{4, 5}, {9, 19}, {2, 20}, {3, 29}, {2, 30}, {2, math.MaxInt64}} {
		if got := e.term(c.term, c.at); got < last {
			t.Errorf("term %d at %d is %x, after %x", c.term, c.at, got, last)
		} else {
			last = got
		}
	}
	if e.term(0, 40) != 0 || e.names[1] != "m1" || e.names[3] != "m1" || e.names[5] != "m1" || e.current("m1", 29) || !e.current("m1", 30) || !e.current("m2", 0) {
		t.Errorf("%+v", e)
	}
}

func TestMixedVersions(t *testing.T) {
	c := &evidence{run: &history.Run{Etcd: "v3.7.3"}}
	old := &member{final: &history.FinalMember{Version: "v3.6.1"}}
	if c.version(old) != "v3.6.1" || c.version(&member{}) != "v3.7.3" {
		t.Error("whose version it is")
	}
}

func TestSlowerElections(t *testing.T) {
	run := &history.Run{Members: []history.Member{{Args: []string{"etcd", "--election-timeout=100"}}}}
	slower(run, []history.Event{{Figures: &history.Figures{Faults: []history.Injection{{With: map[string]string{"flag": "election-timeout", "value": "7000"}}}}}})
	if c := (&evidence{run: run}); c.election() != 7e9 || newLeaseSlack(run).election != 7e9 {
		t.Errorf("%d, %q", c.election(), run.Members[0].Args)
	}
	run.Fault = "kill,clock-skew"
	if s := newLeaseSlack(run); s.drift(10) < 1e9 {
		t.Errorf("where clocks are bent: %d", s.drift(10))
	}
}
