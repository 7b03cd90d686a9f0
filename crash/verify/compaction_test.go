package verify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
)

// compactionMutants are compactions and revisions that went wrong, and what must
// be found in each.
var compactionMutants = map[string]func(m *mutant) want{
	"read below a compaction": func(m *mutant) want {
		m.asks("m1", history.KindCompact, "", history.Call{Revision: m.head() - 5})
		o := m.reads("m2", m.head()-8, false)
		return want{check: "compaction", op: o.ID, rev: m.head() - 8, text: "though it is compacted: the compaction at revision"}
	},
	"stale read below a compaction of the same process": func(m *mutant) want {
		m.asks("m2", history.KindCompact, "", history.Call{Revision: m.head() - 5})
		o := m.reads("m2", m.head()-8, true)
		return want{check: "compaction", op: o.ID, rev: m.head() - 8, text: "though it is compacted"}
	},
	"read below what another read was refused for": func(m *mutant) want {
		unanswered(m.asks("m1", history.KindCompact, "", history.Call{Revision: m.head() - 5}))
		m.refuses(m.reads("m3", m.head()-8, false), compactedError)
		o := m.reads("m2", m.head()-8, false)
		return want{check: "compaction", op: o.ID, rev: m.head() - 8, text: "as compacted"}
	},
	"refused as compacted by nobody": func(m *mutant) want {
		o := m.refuses(m.reads("m1", m.head()-8, false), compactedError)
		return want{check: "compaction", op: o.ID, text: "nobody had asked for a compaction above it", only: true}
	},
	"refused as compacted before anyone asked": func(m *mutant) want {
		o := m.refuses(m.reads("m1", m.head()-8, false), compactedError)
		unanswered(m.asks("m1", history.KindCompact, "", history.Call{Revision: m.head() - 5}))
		return want{check: "compaction", op: o.ID, text: "nobody had asked for a compaction above it", only: true}
	},
	"refused at the compacted revision itself": func(m *mutant) want {
		unanswered(m.asks("m1", history.KindCompact, "", history.Call{Revision: m.head() - 8}))
		o := m.refuses(m.reads("m1", m.head()-8, false), compactedError)
		return want{check: "compaction", op: o.ID, text: "nobody had asked for a compaction above it", only: true}
	},
	"a known revision refused as one of the future": func(m *mutant) want {
		m.get(m.head(), m.key("x"))
		o := m.refuses(m.reads("m1", m.head(), false), futureError)
		return want{check: "compaction", op: o.ID, rev: m.head(), text: "refused as one of the future", only: true}
	},
	"compaction of the future": func(m *mutant) want {
		o := m.asks("m1", history.KindCompact, "", history.Call{Revision: m.head() + 1})
		return want{check: "compaction", op: o.ID, text: "it is of the future"}
	},
	"compaction below another": func(m *mutant) want {
		m.asks("m1", history.KindCompact, "", history.Call{Revision: m.head() - 5})
		o := m.asks("m2", history.KindCompact, "", history.Call{Revision: m.head() - 6})
		return want{check: "compaction", op: o.ID, text: "though it had been done before"}
	},
	"one compaction acknowledged to two": func(m *mutant) want {
		m.asks("m1", history.KindCompact, "", history.Call{Revision: m.head() - 5})
		o := m.asks("m2", history.KindCompact, "", history.Call{Revision: m.head() - 5})
		o.Invoke -= 1_200_000 // at the same time
		return want{check: "compaction", op: o.ID, text: "only one can have done it"}
	},
	"compaction refused as done by nobody": func(m *mutant) want {
		o := m.asks("m1", history.KindCompact, compactedError, history.Call{Revision: m.head() - 5})
		return want{check: "compaction", op: o.ID, text: "nobody had asked for one at or above it", only: true}
	},
	"compaction refused as one of the future": func(m *mutant) want {
		m.get(m.head(), m.key("x"))
		o := m.asks("m1", history.KindCompact, futureError, history.Call{Revision: m.head()})
		return want{check: "compaction", op: o.ID, text: "was refused as one of the future, though revision", only: true}
	},
	"compaction undone on one member": func(m *mutant) want {
		o := m.asks("m1", history.KindCompact, "", history.Call{Revision: m.Meta.Base.Revision})
		m.compact(m.Meta.Base.Revision)
		m.Members[2].Scheduled, m.Members[2].Finished = 0, 0
		return want{check: "compaction", op: o.ID, member: "m3", rev: m.Meta.Base.Revision, text: "is undone on m3", only: true}
	},
	"revision of a member falls": func(m *mutant) want {
		a := m.get(m.head(), m.key("x"))
		a.Member = "m2"
		o := m.get(m.head()-3, m.aPut().Then[0].Key)
		o.Member, o.Then[0].Serializable = "m2", true
		return want{check: "compaction", op: o.ID, member: "m2", rev: m.head() - 3, text: "the revision of m2 fell", only: true}
	},
	"revision of a call falls": func(m *mutant) want {
		a := m.get(m.head(), m.key("x"))
		a.Member = "m2"
		o := m.asks("m2", history.KindStatus, "", history.Call{})
		o.Revision = m.head() - 2
		return want{check: "compaction", op: o.ID, member: "m2", rev: m.head() - 2, text: "the revision of m2 fell", only: true}
	},
	"a call's revision is kept": func(m *mutant) want {
		m.asks("m3", history.KindStatus, "", history.Call{})
		o := m.get(m.head()-3, m.aPut().Then[0].Key)
		o.Member, o.Then[0].Serializable = "m3", true
		return want{check: "compaction", op: o.ID, member: "m3", rev: m.head() - 3, text: "the revision of m3 fell: ", only: true}
	},
}

func TestCompactionMutants(t *testing.T) {
	for name, brk := range compactionMutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(3) {
				m := newMutant(t, seed+400)
				w := brk(m)
				w.test(t, judge(t, write(t, m.Run), nil))
			}
		})
	}
}

// compactionCases must not fail the check, and are no pass where it says why.
var compactionCases = map[string]func(m *mutant) want{
	"stale read of a member that lags": func(m *mutant) want {
		m.asks("m1", history.KindCompact, "", history.Call{Revision: m.Meta.Base.Revision})
		m.compact(m.Meta.Base.Revision)
		m.reads("m2", m.Meta.Base.Revision-1, true)
		return want{result: Pass}
	},
	"read at the compacted revision": func(m *mutant) want {
		m.asks("m1", history.KindCompact, "", history.Call{Revision: m.Meta.Base.Revision})
		m.compact(m.Meta.Base.Revision)
		m.reads("m2", m.Meta.Base.Revision, false)
		return want{result: Pass}
	},
	"read beside a compaction": func(m *mutant) want {
		c := m.asks("m1", history.KindCompact, "", history.Call{Revision: m.Meta.Base.Revision})
		m.compact(m.Meta.Base.Revision)
		o := m.reads("m2", m.Meta.Base.Revision-1, false)
		o.Invoke = c.Invoke
		return want{result: Pass}
	},
	"read within the clocks' uncertainty": func(m *mutant) want {
		m.Meta.ClockUncertainty = 3_000_000
		m.asks("m1", history.KindCompact, "", history.Call{Revision: m.Meta.Base.Revision})
		m.compact(m.Meta.Base.Revision)
		m.reads("m2", m.Meta.Base.Revision-1, false)
		return want{result: Pass}
	},
	"refused for a compaction of unknown outcome": func(m *mutant) want {
		unanswered(m.asks("m1", history.KindCompact, "", history.Call{Revision: m.Meta.Base.Revision}))
		m.compact(m.Meta.Base.Revision)
		m.refuses(m.reads("m2", m.Meta.Base.Revision-1, false), compactedError)
		m.asks("m1", history.KindCompact, compactedError, history.Call{Revision: m.Meta.Base.Revision})
		return want{result: Pass}
	},
	"refused for an automatic compaction": func(m *mutant) want {
		for i := range m.Meta.Members {
			m.Meta.Members[i].Args = []string{"etcd", "--auto-compaction-retention", "1s", "--auto-compaction-mode=periodic"}
		}
		m.refuses(m.reads("m2", m.head()-3, false), compactedError)
		return want{result: Pass}
	},
	"refused for what was compacted before the run": func(m *mutant) want {
		m.Meta.Base.CompactRevision = m.Meta.Base.Revision - 1
		m.refuses(m.reads("m2", m.Meta.Base.Revision-2, false), compactedError)
		return want{result: Pass}
	},
	"refused, of the future indeed": func(m *mutant) want {
		m.refuses(m.reads("m1", m.head()+5, false), futureError)
		m.asks("m1", history.KindCompact, futureError, history.Call{Revision: m.head() + 5})
		return want{result: Pass}
	},
	"somebody else compacted": func(m *mutant) want {
		m.compact(m.head() - 20)
		m.refuses(m.reads("m2", m.head()-30, false), compactedError)
		return want{check: "compaction", result: Inconclusive, text: "somebody else compacted"}
	},
	"compaction on a db that ends early": func(m *mutant) want {
		m.asks("m1", history.KindCompact, "", history.Call{Revision: m.Meta.Base.Revision})
		m.compact(m.Meta.Base.Revision)
		m.Members[2].Scheduled, m.Members[2].Finished = 0, 0
		m.Members[2].ConsistentIndex -= 3
		return want{check: "compaction", result: Inconclusive, text: "the db of m3 holds what entry"}
	},
	"compactions without a store": func(m *mutant) want {
		m.asks("m1", history.KindCompact, "", history.Call{Revision: m.Meta.Base.Revision})
		for i, x := range m.Members {
			x.NoData = true
			m.Final.Members[i].Data = ""
		}
		return want{check: "compaction", result: Inconclusive, text: "no member's store can be read"}
	},
	"the revision of a member falls with a restart": func(m *mutant) want {
		a := m.get(m.head(), m.key("x"))
		a.Member = "m2"
		m.Events = append(m.Events,
			history.Event{Time: m.now + 1, Kind: history.EventKilled, Round: 2, Member: "m2"},
			history.Event{Time: m.now + 2, Kind: history.EventStarted, Round: 2, Member: "m2"},
			history.Event{Time: m.now + 3, Kind: history.EventServing, Round: 2, Member: "m2"})
		o := m.get(m.head()-3, m.aPut().Then[0].Key)
		o.Member, o.Then[0].Serializable = "m2", true
		return want{result: Pass}
	},
	"the revisions of two members": func(m *mutant) want {
		a := m.get(m.head(), m.key("x"))
		a.Member = "m2"
		m.Ops = slices.DeleteFunc(m.Ops, func(o history.Op) bool { return o.Member == "m3" || o.MemberID == m.Meta.Members[2].ID })
		o := m.get(m.head()-3, m.aPut().Then[0].Key)
		o.Member, o.Then[0].Serializable = "m3", true
		return want{result: Pass}
	},
}

func TestCompactionCases(t *testing.T) {
	for name, brk := range compactionCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(3) {
				m := newMutant(t, seed+500)
				w := brk(m)
				v := judge(t, write(t, m.Run), nil)
				// What was read below the run's base is not known to it.
				below := "neither the store nor a recorder tells"
				if c := check(v, "compaction"); c.Verdict == Fail || w.result == Pass && c.Verdict == Inconclusive && !strings.Contains(c.Detail, below) {
					t.Fatal(show(v))
				}
				if w.result != Pass {
					w.test(t, v)
				}
			}
		})
	}
}

func TestMilestones(t *testing.T) {
	m := milestones{{30, 5, 3}, {10, 7, 1}, {20, 9, 2}}
	m.settle()
	for at, rev := range map[int64]int64{10: 0, 11: 7, 20: 7, 21: 9, 99: 9} {
		if got := m.before(at).rev; got != rev {
			t.Error(fmt.Sprint("before ", at, ": ", got, ", want ", rev))
		}
	}
	l := lives{{10, 20}}
	for _, c := range []struct {
		from, to int64
		life     int
		sure     bool
	}{{1, 9, 0, true}, {1, 10, 0, false}, {11, 19, 1, true}, {15, 25, 1, false}, {21, 30, 2, true}} {
		if life, sure := l.of(0, c.from, c.to); life != c.life || sure != c.sure {
			t.Errorf("from %d to %d: life %d, %v", c.from, c.to, life, sure)
		}
	}
}
