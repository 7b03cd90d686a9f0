package schedule

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/lab/spec"
)

func kill(target string) spec.Step { return spec.Step{Fault: "kill", Target: target} }

func TestRoundsTakeTurns(t *testing.T) {
	steps := []spec.Step{kill("m1"), kill("m2"), {Fault: "kill", Target: "m3", Repeat: 2, After: time.Second}}
	for n, want := range map[int]string{1: "kill of m1", 2: "kill of m2", 3: "(kill of m3, then kill of m3)", 4: "kill of m1"} {
		s := Round(steps, 1, n)
		if got := Describe(&s); got != want {
			t.Errorf("round %d: %s", n, got)
		}
	}
	if s := Round(steps, 1, 3); s.After != time.Second || s.Sequence[0].After != 0 {
		t.Errorf("%+v", s)
	}
}

// What is drawn depends on the seed and the round alone, and on the weights.
func TestDraw(t *testing.T) {
	steps := []spec.Step{{Random: []spec.Step{
		{Fault: "kill", Target: "m1", Weight: 8},
		{Parallel: []spec.Step{kill("m2"), {Random: []spec.Step{kill("m3"), kill("leader")}}}},
		kill("m4"),
	}}}
	drawn := map[string]int{}
	for n := range 1000 {
		a, b := Round(steps, 7, n+1), Round(steps, 7, n+1)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("round %d is drawn twice: %+v and %+v", n+1, a, b)
		}
		drawn[Describe(&a)]++
	}
	if n := drawn["kill of m1"]; n < 740 || n > 860 { // 8 in 10
		t.Errorf("%v", drawn)
	}
	if drawn["(kill of m2 and kill of m3)"] < 20 || drawn["(kill of m2 and kill of leader)"] < 20 || drawn["kill of m4"] < 50 || len(drawn) != 4 {
		t.Errorf("%v", drawn)
	}
	other := 0
	for n := range 100 {
		a, b := Round(steps, 7, n+1), Round(steps, 8, n+1)
		if !reflect.DeepEqual(a, b) {
			other++
		}
	}
	if other < 10 {
		t.Errorf("another seed draws another schedule in %d of 100 rounds", other)
	}
}

func TestCheck(t *testing.T) {
	three := []string{"m1", "m2", "m3"}
	for name, good := range map[string][]spec.Step{
		"apart":  {{Parallel: []spec.Step{kill("m1"), kill("m2")}}},
		"later":  {{Parallel: []spec.Step{kill("leader"), {Fault: "kill", Target: "leader", After: time.Second}}}},
		"drawn":  {{Parallel: []spec.Step{kill("random"), kill("random")}}},
		"until":  {{Fault: "kill", Target: "minority", Until: "snapshot"}},
		"weight": {{Random: []spec.Step{{Fault: "kill", Weight: 3}, kill("all")}}},
	} {
		if err := Check(good, three); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for want, bad := range map[string][]spec.Step{
		"the schedule has no steps":                                     nil,
		`schedule[0].fault: unknown fault "kil", did you mean "kill"?`:  {{Fault: "kil"}},
		`schedule[1].target: unknown target "ladder", did you mean "le`: {kill("m1"), kill("ladder")},
		`schedule[0].with.cut: it cannot be "tron"`:                     {{Fault: "power-loss", With: map[string]string{"cut": "tron"}}},
		`schedule[0].with.cot: it has no such parameter, did you mean `: {{Fault: "power-loss", With: map[string]string{"cot": "torn"}}},
		`schedule[0].until: unknown condition "snapshoot", did you`:     {{Fault: "kill", Target: "m1", Until: "snapshoot"}},
		"schedule[0].until: with 3 of 3 members away":                   {{Fault: "kill", Until: "snapshot"}},
		"schedule[0].parallel[1]: kill of all and kill of m1 begin tog": {{Parallel: []spec.Step{kill("all"), kill("m1")}}},
		"schedule[0].parallel[1]: kill of leader and kill of leader be": {{Parallel: []spec.Step{kill("leader"), kill("leader")}}},
		"schedule[0].sequence[0].weight: only the steps of a random li": {{Sequence: []spec.Step{{Fault: "kill", Weight: 2}}}},
		"schedule[0].fault: nothing is done, so nothing lasts":          {{Fault: "none", For: time.Second}},
	} {
		err := Check(bad, three)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %s, got %v", want, err)
		}
		if _, ok := errors.AsType[*StepError](err); ok != (bad != nil) {
			t.Errorf("%s: %T", want, err)
		}
	}
	if err := Check([]spec.Step{kill("minority")}, three[:1]); err == nil {
		t.Error("one member has a minority")
	}
}

func TestEveryAndSet(t *testing.T) {
	steps := []spec.Step{kill("m1"), {Fault: "failpoint", With: map[string]string{"point": "*", "within": "1s"}}}
	all := Every(steps, "failpoint", "point", "*", []string{"a", "b"})
	if len(all) != 3 || all[1].With["point"] != "a" || all[2].With["point"] != "b" || all[2].With["within"] != "1s" || steps[1].With["point"] != "*" {
		t.Errorf("%+v from %+v", all, steps)
	}
	if !Set(all, "kill", "x", "y") || all[0].With["x"] != "y" || Set(all, "io-error", "x", "y") {
		t.Errorf("%+v", all)
	}
}
