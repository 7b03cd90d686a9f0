package verify

import (
	"fmt"
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

// A schedule of several faults: those that took effect are counted, what the lab
// cannot do is said, and so are failpoints that nothing reached.
func TestFaultsOfASchedule(t *testing.T) {
	in := func(fault, point string, observed bool, skipped string) history.Injection {
		i := history.Injection{Fault: fault, Targets: []string{"m1"}, Observed: observed, Recovered: true, Skipped: skipped}
		if point != "" {
			i.With = map[string]string{"point": point}
		}
		return i
	}
	figures := func(faults ...history.Injection) func(*mutant) {
		return func(m *mutant) {
			for i := range m.Events {
				if e := &m.Events[i]; e.Figures != nil {
					g := *e.Figures
					g.Faults, g.Fault = faults, "kill"
					g.Observed = true
					e.Figures = &g
				}
			}
		}
	}
	m := newMutant(t, 300)
	figures(in("kill", "", true, ""), in("failpoint", "a", true, ""), in("failpoint", "b", false, ""), in("clock", "", false, "no clock of its own"))(m)
	v := judge(t, write(t, m.Run), nil)
	rounds := 0
	for _, e := range m.Events {
		if e.Figures != nil {
			rounds++
		}
	}
	c := check(v, "faults")
	for _, want := range []string{
		fmt.Sprintf("%d of %d faults took effect, in %d rounds", 2*rounds, 3*rounds, rounds), "1 of 2 failpoints were reached, not b", "skipped: clock: no clock of its own",
	} {
		if !strings.Contains(c.Detail, want) {
			t.Errorf("want %q in: %s", want, c.Detail)
		}
	}
	if v.Verdict != Pass || v.Faults != 2*rounds {
		t.Error(show(v))
	}
	m = newMutant(t, 300)
	figures(in("clock", "", false, "no clock of its own"))(m)
	w := want{check: "faults", result: Inconclusive, text: "no fault was seen to take effect"}
	w.test(t, judge(t, write(t, m.Run), nil))
}

// Among other faults one idle power loss takes nothing away, most do; in a run of
// power losses alone each must lose something.
func TestPowerLossesThatLoseNothing(t *testing.T) {
	for _, tt := range []struct {
		fault  string
		idle   int
		result Result
	}{
		{powerLoss, 0, Pass}, {powerLoss, 1, Inconclusive},
		{"kill,power-loss", 0, Pass}, {"kill,power-loss", 2, Pass}, {"kill,power-loss", 3, Inconclusive}, {"kill,power-loss", 4, Inconclusive},
	} {
		idle, result := tt.idle, tt.result
		c := &evidence{run: &history.Run{Fault: tt.fault}}
		for n := range 4 {
			g := &history.Figures{Fault: powerLoss, Observed: true, Uncovered: 3, Dropped: 3}
			if n < idle {
				g.Uncovered, g.Dropped = 0, 0
			}
			c.events = append(c.events, history.Event{Kind: history.EventRoundEnd, Round: n + 1, Figures: g})
		}
		c.events = append(c.events, history.Event{Kind: history.EventRunEnd})
		if check, _ := c.judgeFaults(); check.Verdict != result {
			t.Errorf("%d idle: %+v", idle, check)
		}
	}
}

func TestChecksThatAreAskedFor(t *testing.T) {
	for name, tt := range map[string]struct {
		asked []string
		made  []Check
		want  Result
	}{
		"all":     {nil, []Check{{Name: "a", Verdict: Pass}, {Name: "b", Verdict: Inconclusive}}, Inconclusive},
		"one":     {[]string{"a"}, []Check{{Name: "a", Verdict: Pass}, {Name: "b", Verdict: Inconclusive}}, Pass},
		"fails":   {[]string{"a"}, []Check{{Name: "a", Verdict: Pass}, {Name: "b", Verdict: Fail}}, Fail},
		"errors":  {[]string{"a"}, []Check{{Name: "a", Verdict: Pass}, {Name: "b", Verdict: Error}}, Error},
		"missing": {[]string{"c"}, []Check{{Name: "a", Verdict: Pass}}, Inconclusive},
	} {
		v := &Verdict{Checks: tt.made}
		if v.sum(tt.asked); v.Verdict != tt.want {
			t.Errorf("%s: %s", name, v.Verdict)
		}
	}
}
