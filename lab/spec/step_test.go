package spec

import (
	"strings"
	"testing"
	"time"
)

const withSteps = `apiVersion: etcdlab.dev/v1alpha1
kind: Scenario
name: group/mine
lab: {members: 3}
run:
  every: 10s
  schedule:
    - kill
    - {fault: partition, target: leader, with: {shape: ring, loss: 50}, for: 5s, noWait: true}
    - parallel:
        - {fault: kill, target: m1, until: snapshot}
        - random: [{fault: freeze, weight: 3}, kill]
      after: 200ms
`

func TestSteps(t *testing.T) {
	s, err := DecodeScenario("x.yaml", []byte(withSteps))
	if err != nil {
		t.Fatal(err)
	}
	steps := s.Run.Schedule
	if s.Name != "group/mine" || s.Run.Every != 10*time.Second || len(steps) != 3 || steps[0].Fault != "kill" {
		t.Fatalf("%+v", s.Run)
	}
	if p := steps[1]; p.With["loss"] != "50" || p.For != 5*time.Second || !p.NoWait || p.Target != "leader" {
		t.Errorf("%+v", p)
	}
	if g := steps[2]; g.After != 200*time.Millisecond || len(g.Parallel) != 2 || g.Parallel[0].Until != "snapshot" || g.Parallel[1].Random[0].Weight != 3 {
		t.Errorf("%+v", g)
	}
	var names []string
	Leaves(steps, func(s *Step) { names = append(names, s.Fault) })
	if got := strings.Join(names, " "); got != "kill partition kill freeze kill" {
		t.Error(got)
	}
}

func TestStepErrors(t *testing.T) {
	head := "apiVersion: etcdlab.dev/v1alpha1\nkind: Scenario\nname: x\nrun:\n  schedule:\n"
	for steps, want := range map[string]string{
		"    - {fualt: kill}":                   `x.yaml:6:8: unknown field "fualt", did you mean "fault"?`,
		"    - {}":                              "x.yaml:6:7: a step has a fault, or",
		"    - {fault: kill, parallel: [kill]}": "x.yaml:6:7: a step has only one of fault",
		"    - {parallel: [kill], target: m1}":  "x.yaml:6:7: target, with, for",
		"    - {fault: kill, for: 5}":           "x.yaml:6:26: for must be a length of time",
		"    - {fault: kill, weight: 0}":        "x.yaml:6:29: weight must be at least 1",
		"    - 7":                               "x.yaml:6:7: schedule[0] must be text",
		"    - {random: []}":                    "x.yaml:6:16: random has no steps",
		"    - {sequence: " + strings.Repeat("[{sequence: ", 9) + "[kill]" + strings.Repeat("}]", 9) + "}": "steps are nested more than",
	} {
		_, err := DecodeScenario("x.yaml", []byte(head+steps+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %s, got %v", steps, want, err)
		}
	}
}

func TestSet(t *testing.T) {
	s, err := DecodeScenario("x.yaml", []byte(withSteps),
		"run.rounds=5", "lab.etcd.version=v3.5.4", "run.schedule[1].for=2s", "run.schedule[1].with.shape=halves",
		"run.schedule[2].parallel[0].target=m2", "lab.etcd.args.snapshot-count=50", "run.traffic=everything", "run.io=write,nth=3",
		"lab.members=5", "run.points=[a, b]")
	if err != nil {
		t.Fatal(err)
	}
	p := s.Run.Schedule[1]
	if s.Run.Rounds != 5 || s.Lab.Etcd.Version != "v3.5.4" || p.For != 2*time.Second || p.With["shape"] != "halves" || p.With["loss"] != "50" ||
		p.Target != "leader" || s.Run.Schedule[2].Parallel[0].Target != "m2" || s.Run.Schedule[2].Parallel[0].Until != "snapshot" ||
		s.Lab.Etcd.Args["snapshot-count"] != "50" || s.Run.Traffic.Profile != "everything" || s.Run.IO != "write,nth=3" ||
		len(s.Lab.Members) != 5 || len(s.Run.Points) != 2 {
		t.Errorf("%+v", s)
	}
	for set, want := range map[string]string{
		"run.rounds":                "--set run.rounds: want path=value",
		"run.ruonds=5":              `unknown field "ruonds", did you mean "rounds"?`,
		"run.rounds=many":           "rounds must be a whole number",
		"run.schedule[9].for=1s":    "there is no schedule[9]; there are 3 steps",
		"=5":                        "want path=value",
		"lab.etcd.version=v3.5.4.1": "is not a release of etcd",
	} {
		if _, err := DecodeScenario("x.yaml", []byte(withSteps), set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %s, got %v", set, want, err)
		}
	}
}

func FuzzSet(f *testing.F) {
	f.Add("run.rounds=5")
	f.Add("run.schedule[0].with.a={b")
	f.Add("a[[]]..=\"")
	f.Fuzz(func(t *testing.T, set string) {
		_, _ = DecodeScenario("x.yaml", []byte(withSteps), set)
	})
}
