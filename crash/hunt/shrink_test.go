package hunt

import (
	"context"
	"errors"
	"testing"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// big is a scenario with a bit of everything.
const big = `
apiVersion: etcdlab.dev/v1alpha1
kind: Scenario
name: big
lab:
  members: 3
  etcd: {version: v3.5.4, args: {snapshot-count: 5, pre-vote: false}}
  disk: {fs: xfs}
run:
  rounds: 6
  before: 100
  schedule:
    - {fault: kill, target: leader, optional: true, noWait: true}
    - parallel:
        - {fault: power-loss, target: m1, with: {cut: torn}}
        - {fault: failpoint, target: m2, with: {point: defragBeforeCopy, within: 1s}, after: 50ms}
    - sequence: [{fault: kill, target: follower}, {fault: io-error, target: leader}]
  traffic:
    profile: puts
    weights: {put: 5, get: 3, alarms: 20, txn: 8, delete: 3, range: 4, prefix: 9}
    watchers: 12
    watchFrom: {near: 1, future: 3}
    compactEvery: 100ms
    defragEvery: 1s
    hashEvery: 1s
    auth: true
`

func decode(t *testing.T, file string) *spec.Scenario {
	t.Helper()
	s, err := spec.DecodeScenario("test", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// needs is an oracle for a bug that takes all of some ingredients.
func needs(names ...string) Oracle {
	return func(_ context.Context, s *spec.Scenario) (bool, error) {
		has := namesOf(s)
		for _, n := range names {
			if !has[n] {
				return false, nil
			}
		}
		return true, nil
	}
}

func TestShrinkFindsTheCore(t *testing.T) {
	for name, core := range map[string][]string{
		"a fault":              {"operation put", "fault failpoint at defragBeforeCopy"},
		"no fault":             {"operation txn", "compaction"},
		"watches":              {"operation delete", "watchers", "watches from future"},
		"a flag and a kill":    {"operation alarms", "flag snapshot-count", "fault kill"},
		"members":              {"operation put", "members", "fault io-error"},
		"two faults at a time": {"operation get", "fault power-loss", "fault failpoint at defragBeforeCopy"},
	} {
		t.Run(name, func(t *testing.T) {
			ask := needs(core...)
			asks := 0
			small, done, err := Shrink(t.Context(), decode(t, big), func(ctx context.Context, s *spec.Scenario) (bool, error) {
				asks++
				if _, err := crash.FromFile(s); err != nil {
					t.Errorf("asked about a scenario that is none: %v", err)
				}
				return ask(ctx, s)
			}, func(*spec.Scenario) {})
			if err != nil || !done {
				t.Fatal(done, err)
			}
			if yes, _ := ask(t.Context(), small); !yes {
				t.Fatalf("it does not fail:\n%s", text(small))
			}
			names := namesOf(small)
			if !names["operation put"] {
				t.Error("the load writes nothing")
			}
			for _, name := range append(core, "operation put") {
				delete(names, name)
			}
			if len(names) > 0 {
				t.Errorf("there is more than is needed: %v", names)
			}
			if asks > 120 {
				t.Errorf("it took %d questions", asks)
			}
			t.Logf("%d questions:\n%s", asks, text(small))
		})
	}
}

// What nothing fails with is given back as it was; so is the best so far where the
// context ends, or the oracle breaks.
func TestShrinkStops(t *testing.T) {
	s := decode(t, big)
	no := func(context.Context, *spec.Scenario) (bool, error) { return false, nil }
	if small, done, err := Shrink(t.Context(), s, no, func(*spec.Scenario) { t.Error("better") }); small != s || !done || err != nil {
		t.Error(done, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var best *spec.Scenario
	small, done, err := Shrink(ctx, s, func(_ context.Context, s *spec.Scenario) (bool, error) {
		if best != nil {
			cancel()
		}
		return true, nil
	}, func(s *spec.Scenario) { best = s })
	if small != best || best == s || done || err != nil {
		t.Error(done, err)
	}
	broken := errors.New("broken")
	if small, done, err := Shrink(t.Context(), s, func(context.Context, *spec.Scenario) (bool, error) { return true, broken }, func(*spec.Scenario) {}); small != s || done || !errors.Is(err, broken) {
		t.Error(done, err)
	}
}
