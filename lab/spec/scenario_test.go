package spec

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const exampleScenario = `apiVersion: etcdlab.dev/v1alpha1
kind: Scenario
name: edge
doc: one member that loses power every day
lab:
  members: 1
  etcd: {version: v3.5.4, args: {snapshot-count: 50}}
  disk: {fs: xfs}
run:
  fault: power-loss
  target: all
  cut: torn
  rounds: 3
  points: [raftBeforeSave, walBeforeSync]
`

func TestDecodeScenario(t *testing.T) {
	got, err := DecodeScenario("s.yaml", []byte(exampleScenario))
	if err != nil {
		t.Fatal(err)
	}
	want := &Scenario{
		APIVersion: APIVersion, Kind: ScenarioKind, Name: "edge", Doc: "one member that loses power every day",
		Lab: Lab{
			Members: Count(1), Disk: Disk{FS: "xfs"},
			Etcd: Etcd{Version: "v3.5.4", Args: map[string]string{"snapshot-count": "50"}},
		},
		Run: Run{Fault: "power-loss", Target: "all", Cut: "torn", Rounds: 3, Points: []string{"raftBeforeSave", "walBeforeSync"}},
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Scenario{})); d != "" {
		t.Error(d)
	}
}

func TestScenarioProblemHasAPlace(t *testing.T) {
	s, err := DecodeScenario("s.yaml", []byte(exampleScenario))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Problem("run.cut", errors.New("no such cut")).Error(); !strings.HasPrefix(got, "s.yaml:12:8: no such cut\n") {
		t.Error(got)
	}
	if got := s.Problem("run.io", errors.New("not said")).Error(); !strings.HasPrefix(got, "s.yaml:10:3: not said\n") {
		t.Error(got) // where what should contain it is
	}
}

func TestScenarioProblems(t *testing.T) {
	for want, text := range map[string]string{
		"s.yaml:2:7: unknown kind":                           strings.Replace(exampleScenario, "kind: Scenario", "kind: Lab", 1),
		"s.yaml:6:12: 10 members":                            strings.Replace(exampleScenario, "members: 1", "members: 10", 1),
		"s.yaml:8:14: unknown file system \"zfs\"":           strings.Replace(exampleScenario, "xfs", "zfs", 1),
		"s.yaml:13:11: rounds must be at least 1":            strings.Replace(exampleScenario, "rounds: 3", "rounds: 0", 1),
		"s.yaml:13:3: unknown field \"ronds\", did you mean": strings.Replace(exampleScenario, "rounds", "ronds", 1),
		"s.yaml:14:11: points must be a list":                strings.Replace(exampleScenario, "[raftBeforeSave, walBeforeSync]", "all", 1),
		"s.yaml:6:3: unknown field \"kind\"":                 strings.Replace(exampleScenario, "members: 1", "kind: Lab", 1),
	} {
		_, err := DecodeScenario("s.yaml", []byte(text))
		var problem *Error
		if !errors.As(err, &problem) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %s\ngot  %v", want, err)
		}
	}
}

func FuzzDecodeScenario(f *testing.F) {
	f.Add([]byte(exampleScenario))
	f.Add([]byte("run: {rounds: 99999999999999999999}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeScenario("f", data)
		if err != nil {
			return
		}
		s.Lab.Default()
		if err := s.Lab.Validate(); err != nil {
			t.Fatalf("decoded, but not valid: %v", err)
		}
	})
}
