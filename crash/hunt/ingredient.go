package hunt

import (
	"maps"
	"slices"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// ingredient is one thing in a scenario that can be left out.
type ingredient struct {
	name string
	drop func(*spec.Scenario)
}

// ingredients are what a scenario is made of.
func ingredients(s *spec.Scenario) (list []ingredient) {
	put := func(name string, drop func(*spec.Scenario)) { list = append(list, ingredient{name, drop}) }
	t := &s.Run.Traffic
	for _, op := range operationsOf(t) {
		put("operation "+op, func(s *spec.Scenario) { dropOperations(&s.Run.Traffic, op) })
	}
	for _, e := range extras {
		if e.has(t) {
			put(e.name, func(s *spec.Scenario) { e.drop(&s.Run.Traffic) })
		}
	}
	for _, start := range slices.Sorted(maps.Keys(t.WatchFrom)) {
		put("watches from "+start, func(s *spec.Scenario) { delete(s.Run.Traffic.WatchFrom, start) })
	}
	seen := map[string]bool{}
	spec.Leaves(s.Run.Schedule, func(step *spec.Step) {
		name := faultName(step)
		if step.Fault == fault.NameNone || seen[name] {
			return
		}
		seen[name] = true
		put(name, func(s *spec.Scenario) {
			s.Run.Schedule = without(s.Run.Schedule, func(l *spec.Step) bool { return faultName(l) == name })
		})
	})
	for _, arg := range slices.Sorted(maps.Keys(s.Lab.Etcd.Args)) {
		put("flag "+arg, func(s *spec.Scenario) { delete(s.Lab.Etcd.Args, arg) })
	}
	if len(s.Lab.Members) > 1 {
		put("members", func(s *spec.Scenario) { s.Lab.Members = spec.Count(1) })
	}
	return list
}

// faultName is what a fault is called: failpoints are different ones.
func faultName(step *spec.Step) string {
	if point := step.With["point"]; point != "" {
		return "fault " + step.Fault + " at " + point
	}
	return "fault " + step.Fault
}

// namesOf are those of a scenario's ingredients.
func namesOf(s *spec.Scenario) map[string]bool {
	names := map[string]bool{}
	for _, i := range ingredients(s) {
		names[i.name] = true
	}
	return names
}

// extras are parts of a load beside its operations.
var extras = []struct {
	name string
	has  func(*spec.Traffic) bool
	drop func(*spec.Traffic)
}{
	{"watchers", func(t *spec.Traffic) bool { return positive(t.Watchers) }, func(t *spec.Traffic) { t.Watchers, t.WatchFrom = nil, nil }},
	{"slow watchers", func(t *spec.Traffic) bool { return positive(t.SlowWatchers) }, func(t *spec.Traffic) { t.SlowWatchers = nil }},
	{"compaction", func(t *spec.Traffic) bool { return positive(t.CompactEvery) }, func(t *spec.Traffic) { t.CompactEvery, t.CompactBehind, t.CompactDeletes = nil, nil, nil }},
	{"hashes", func(t *spec.Traffic) bool { return positive(t.HashEvery) }, func(t *spec.Traffic) { t.HashEvery = nil }},
	{"defragmentation", func(t *spec.Traffic) bool { return positive(t.DefragEvery) }, func(t *spec.Traffic) { t.DefragEvery = nil }},
	{"snapshots", func(t *spec.Traffic) bool { return positive(t.SnapshotEvery) }, func(t *spec.Traffic) { t.SnapshotEvery = nil }},
	{"auth", func(t *spec.Traffic) bool { return t.Auth != nil && *t.Auth }, func(t *spec.Traffic) { t.Auth, t.AuthEvery = nil, nil }},
	{"sizes", func(t *spec.Traffic) bool { return len(t.Sizes) > 0 }, func(t *spec.Traffic) { t.Sizes = nil }},
	{"lease times", func(t *spec.Traffic) bool { return len(t.LeaseTTLs) > 0 || t.Leases != nil }, func(t *spec.Traffic) { t.LeaseTTLs, t.Leases = nil, nil }},
}

func positive[T int | ~int64](v *T) bool { return v != nil && *v > 0 }

// operationsOf are the operations that a load does, sorted.
func operationsOf(t *spec.Traffic) (ops []string) {
	for _, name := range slices.Sorted(maps.Keys(t.Weights)) {
		if t.Weights[name] > 0 {
			ops = append(ops, name)
		}
	}
	return ops
}

func dropOperations(t *spec.Traffic, ops ...string) {
	for _, op := range ops {
		if delete(t.Weights, op); op == plainOperation {
			t.Weights[op] = 0 // else it would be the profile's
		}
	}
}

// without takes the faults out that drop names, and what is empty then. Nothing
// left is no fault at all.
func without(steps []spec.Step, drop func(*spec.Step) bool) []spec.Step {
	if out := prune(steps, drop); len(out) > 0 {
		return out
	}
	return []spec.Step{{Fault: fault.NameNone}}
}

func prune(steps []spec.Step, drop func(*spec.Step) bool) (out []spec.Step) {
	for _, s := range spec.CloneSteps(steps) {
		if s.Fault != "" {
			if !drop(&s) {
				out = append(out, s)
			}
			continue
		}
		s.Sequence, s.Parallel, s.Random = prune(s.Sequence, drop), prune(s.Parallel, drop), prune(s.Random, drop)
		switch inside := append(append(append([]spec.Step(nil), s.Sequence...), s.Parallel...), s.Random...); len(inside) {
		case 0:
		case 1:
			inside[0].After += s.After
			inside[0].Weight = 0
			out = append(out, inside[0])
		default:
			out = append(out, s)
		}
	}
	return out
}
