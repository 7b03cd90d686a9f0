package verify

import (
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
)

// A run that ended in an error may lack what would have told against etcd.
func TestARunThatBrokeOffIsNoPass(t *testing.T) {
	end := func(e history.Event) bool { return e.Kind == history.EventRunEnd }
	for text, brk := range map[string]func(*mutant){
		"the run broke off: round 3: the agent of m1 does not answer": func(m *mutant) {
			m.Events[slices.IndexFunc(m.Events, end)].Message = "round 3: the agent of m1 does not answer"
		},
		"the run broke off without saying why": func(m *mutant) {
			m.Events = slices.DeleteFunc(m.Events, end)
		},
	} {
		m := newMutant(t, 300)
		brk(m)
		w := want{check: "faults", result: Inconclusive, text: text}
		w.test(t, judge(t, write(t, m.Run), nil))
	}
}

// Of a cut by device mapper it is known how many writes came after it, and no
// more: a round in which none did lost nothing, whatever a flush had covered.
func TestCutsOfDeviceMapper(t *testing.T) {
	on := func(dropped int) *mutant {
		m := newMutant(t, 300)
		for i := range m.Events {
			e := &m.Events[i]
			if e.Cut != nil {
				c := *e.Cut
				c.Profile, c.Uncovered, c.Dropped = "dm", dropped, dropped
				e.Cut = &c
			}
			if e.Figures != nil {
				g := *e.Figures
				g.Uncovered, g.Dropped, g.Torn = dropped, dropped, 0
				e.Figures = &g
			}
		}
		return m
	}
	v := judge(t, write(t, on(3).Run), nil)
	if c := check(v, "faults"); v.Verdict != Pass || !strings.Contains(c.Detail, "writes that came to a disk after its cut were swallowed") {
		t.Error(show(v))
	}
	w := want{check: "faults", result: Inconclusive, text: "no write was on its way to a disk when it was cut"}
	w.test(t, judge(t, write(t, on(0).Run), nil))
}
