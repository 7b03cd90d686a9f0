package verify

import (
	"slices"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
)

// goes lets time pass: every second each of some members answers a read, and each
// of others leaves one without an answer until its client gives up.
func (m *mutant) goes(seconds int, answer, silent []string) (from int64) {
	from = m.now
	for range seconds {
		for _, name := range answer {
			m.get(m.head(), m.aPut().Then[0].Key).Member = name
		}
		for _, name := range silent {
			o := m.op(history.Unknown, 0, history.Request{Verb: history.Range, Key: m.key("x")})
			o.Member, o.Error = name, "context deadline exceeded"
			o.Return = o.Invoke + aSecond/2
		}
		m.now += aSecond
	}
	return from
}

func (m *mutant) event(at int64, kind history.EventKind, member string) {
	m.Events = append(m.Events, history.Event{Time: at, Kind: kind, Member: member, Round: 2})
}

const aSecond = int64(1e9)

var others = []string{"m1", "m3"}

var livenessMutants = map[string]func(m *mutant) want{
	"one member stuck": func(m *mutant) want {
		m.goes(25, others, []string{"m2"})
		return want{check: "liveness", member: "m2", text: "m2 was stuck: from", only: true}
	},
	"stuck, then well": func(m *mutant) want {
		m.goes(25, others, []string{"m2"})
		m.goes(5, []string{"m1", "m2", "m3"}, nil)
		return want{check: "liveness", member: "m2", text: "acknowledged none of ", only: true}
	},
	"stuck long after a fault": func(m *mutant) want {
		at := m.goes(40, others, []string{"m2"})
		m.event(at, history.EventKilled, "m2")
		m.event(at+aSecond, history.EventStarted, "m2")
		m.event(at+2*aSecond, history.EventServing, "m2")
		return want{check: "liveness", member: "m2", text: "m2 was stuck: from", only: true}
	},
	"stuck though another one is down": func(m *mutant) want {
		at := m.goes(40, []string{"m1"}, []string{"m2", "m3"})
		m.event(at, history.EventKilled, "m3")
		m.event(at+45*aSecond, history.EventServing, "m3")
		return want{check: "liveness", member: "m2", text: "m2 was stuck: from", only: true}
	},
	"all stuck": func(m *mutant) want {
		m.goes(60, nil, []string{"m1", "m2", "m3"})
		m.goes(2, others, nil)
		return want{check: "liveness", text: "the cluster was stuck", only: true}
	},
	"all stuck with one of three down": func(m *mutant) want {
		at := m.goes(60, nil, []string{"m1", "m2", "m3"})
		m.event(at, history.EventCut, "m3")
		m.event(at+70*aSecond, history.EventServing, "m3")
		return want{check: "liveness", text: "the cluster was stuck", only: true}
	},
	"one operation forgotten": func(m *mutant) want {
		o := m.get(m.head(), m.aPut().Then[0].Key)
		o.Member = "m1"
		id := o.ID
		for range 4 {
			m.goes(1, slices.Repeat([]string{"m1"}, 30), nil)
		}
		m.now += 40 * aSecond
		m.Op(id).Return = m.now
		m.Op(id).Outcome, m.Op(id).Results, m.Op(id).Revision = history.Unknown, nil, 0
		return want{check: "liveness", op: id, member: "m1", text: "while m1 acknowledged 100 operations that were asked of it later", only: true}
	},
	"one that lags at the end": func(m *mutant) want {
		m.Final.Members[1].AppliedIndex += 6000
		m.Final.Members[2].AppliedIndex += 6000
		return want{check: "liveness", member: "m1", text: "it lags by 6000", only: true}
	},
}

func TestLivenessMutants(t *testing.T) {
	for name, brk := range livenessMutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMutant(t, 1000)
			w := brk(m)
			w.test(t, judge(t, write(t, m.Run), nil))
		})
	}
}

var livenessCases = map[string]func(m *mutant) want{
	"short": func(m *mutant) want {
		m.goes(8, others, []string{"m2"})
		return want{result: Pass}
	},
	"nobody asked for long": func(m *mutant) want {
		m.goes(2, others, []string{"m2"})
		m.now += 50 * aSecond
		m.goes(1, others, []string{"m2"})
		return want{result: Pass}
	},
	"frozen all the while": func(m *mutant) want {
		at := m.goes(30, others, []string{"m2"})
		m.event(at, history.EventFrozen, "m2")
		m.event(at+32*aSecond, history.EventServing, "m2")
		return want{result: Pass}
	},
	"until its round ended": func(m *mutant) want {
		at := m.goes(14, others, []string{"m2"})
		m.event(at, history.EventFault, "m2")
		m.event(at+8*aSecond, history.EventRoundEnd, "")
		m.Events[len(m.Events)-1].Figures = &history.Figures{Fault: "kill", Observed: true}
		return want{result: Pass}
	},
	"one fault for all": func(m *mutant) want {
		at := m.goes(20, others, []string{"m2"})
		m.event(at, history.EventFault, "")
		m.event(at+18*aSecond, history.EventServing, "m2")
		m.event(at+18*aSecond, history.EventServing, "m1")
		m.event(at+18*aSecond, history.EventServing, "m3")
		return want{result: Pass}
	},
	"an election": func(m *mutant) want {
		for i := range m.Meta.Members {
			m.Meta.Members[i].Args = []string{"--election-timeout=5000"}
		}
		at := m.goes(20, []string{"m1"}, []string{"m2", "m3"})
		m.event(at, history.EventKilled, "m3")
		m.event(at+22*aSecond, history.EventServing, "m3")
		return want{result: Pass}
	},
	"no quorum": func(m *mutant) want {
		at := m.goes(50, nil, []string{"m1", "m2", "m3"})
		m.event(at, history.EventCut, "m3")
		m.event(at, history.EventCut, "m2")
		m.event(at+48*aSecond, history.EventServing, "m3")
		m.event(at+48*aSecond, history.EventServing, "m2")
		return want{result: Pass}
	},
	"no load": func(m *mutant) want {
		m.now += 100 * aSecond
		m.goes(1, others, nil)
		return want{result: Pass}
	},
	"a lock waited for": func(m *mutant) want {
		o := m.asks("m1", history.KindLock, "", history.Call{Name: m.key("lock/a"), Key: m.key("lock/a/1")})
		id := o.ID
		m.goes(40, others, nil)
		unanswered(m.Op(id)).Return = m.now
		return want{result: Pass}
	},
	"the run broke off": func(m *mutant) want {
		m.goes(25, others, []string{"m2"})
		m.Events[slices.IndexFunc(m.Events, func(e history.Event) bool { return e.Kind == history.EventRunEnd })].Message = "the agent of m2 does not answer"
		return want{check: "liveness", result: Inconclusive, text: "which may be what broke the run off: the run broke off: the agent of m2"}
	},
}

func TestLivenessCases(t *testing.T) {
	for name, brk := range livenessCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMutant(t, 1100)
			w := brk(m)
			v := judge(t, write(t, m.Run), nil)
			if w.result == Pass {
				if check(v, "liveness").Verdict != Pass {
					t.Fatal(show(v))
				}
				return
			}
			w.test(t, v)
		})
	}
}

func TestPeriods(t *testing.T) {
	got := period{0, 100}.without(merged([]period{{90, 95}, {10, 20}, {15, 30}, {200, 300}}))
	if want := []period{{0, 10}, {30, 90}, {95, 100}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
