package hunt

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// passes give the scenarios that are simpler than one in one respect, the
// boldest first; in the order in which they save the most.
var passes = []func(*spec.Scenario) []*spec.Scenario{
	fewerFaults, fewerOperations, less("", "flag ", "operation ", "fault ", "members"), fewerMembers, less("flag "), plainDisk, simplerSteps, fewerClients,
}

// fewerFaults leaves all faults out, then all but one, then one.
func fewerFaults(s *spec.Scenario) (list []*spec.Scenario) {
	if quiet(s) {
		return nil
	}
	list = append(list, change(s, func(s *spec.Scenario) {
		lasts := time.Duration(s.Run.Rounds) * time.Second
		s.Run.Schedule = schedule.One(fault.NameNone, "", nil)
		s.Run.Rounds, s.Run.Before, s.Run.After = 0, 0, 0
		s.Run.Duration = min(max(lasts, 2*time.Second), 8*time.Second)
	}))
	n := 0
	spec.Leaves(s.Run.Schedule, func(*spec.Step) { n++ })
	if n < 2 {
		return list
	}
	nth := func(i int, only bool) *spec.Scenario {
		return change(s, func(s *spec.Scenario) {
			at := -1
			s.Run.Schedule = without(s.Run.Schedule, func(*spec.Step) bool {
				at++
				return (at == i) != only
			})
		})
	}
	for _, only := range []bool{true, false} {
		for i := range n {
			list = append(list, nth(i, only))
		}
	}
	return list
}

// fewerOperations leaves all operations out but puts, then halves, then one. It
// never leaves a load that writes nothing: where a release has not the bug, there
// would be nothing to judge.
func fewerOperations(s *spec.Scenario) (list []*spec.Scenario) {
	ops := slices.DeleteFunc(operationsOf(&s.Run.Traffic), func(op string) bool { return op == plainOperation })
	if len(ops) == 0 {
		return nil
	}
	drop := func(ops []string) {
		list = append(list, change(s, func(s *spec.Scenario) {
			dropOperations(&s.Run.Traffic, ops...)
			s.Run.Traffic.Weights[plainOperation] = max(1, s.Run.Traffic.Weights[plainOperation])
		}))
	}
	drop(ops)
	for size := (len(ops) + 1) / 2; ; size = (size + 1) / 2 {
		for from := 0; from < len(ops); from += size {
			drop(ops[from:min(from+size, len(ops))])
		}
		if size == 1 {
			return list
		}
	}
}

// less leaves out ingredients of one kind: all, then each. The kind "" is those
// of none of the others.
func less(kind string, others ...string) func(*spec.Scenario) []*spec.Scenario {
	return func(s *spec.Scenario) (list []*spec.Scenario) {
		var mine []ingredient
		for _, i := range ingredients(s) {
			other := false
			for _, o := range others {
				other = other || strings.HasPrefix(i.name, o)
			}
			if strings.HasPrefix(i.name, kind) && !other {
				mine = append(mine, i)
			}
		}
		if len(mine) > 1 {
			list = append(list, change(s, func(s *spec.Scenario) {
				for _, i := range mine {
					i.drop(s)
				}
			}))
		}
		for _, i := range mine {
			list = append(list, change(s, i.drop))
		}
		return list
	}
}

func fewerMembers(s *spec.Scenario) []*spec.Scenario {
	if len(s.Lab.Members) < 2 {
		return nil
	}
	return []*spec.Scenario{change(s, func(s *spec.Scenario) {
		s.Lab.Members = spec.Count(1)
		spec.Leaves(s.Run.Schedule, func(step *spec.Step) {
			if step.Fault != fault.NameNone {
				step.Target, step.Until = schedule.All, ""
			}
		})
	})}
}

// plainDisk is the usual file system on the usual disk.
func plainDisk(s *spec.Scenario) []*spec.Scenario {
	if s.Lab.Disk == (spec.Disk{}) {
		return nil
	}
	return []*spec.Scenario{change(s, func(s *spec.Scenario) { s.Lab.Disk = spec.Disk{} })}
}

// simplerSteps takes what was said of one fault away, one thing at a time.
func simplerSteps(s *spec.Scenario) (list []*spec.Scenario) {
	n := 0
	spec.Leaves(s.Run.Schedule, func(step *spec.Step) {
		i := n
		n++
		at := func(do func(*spec.Step)) {
			list = append(list, change(s, func(s *spec.Scenario) {
				k := 0
				spec.Leaves(s.Run.Schedule, func(step *spec.Step) {
					if k == i {
						do(step)
					}
					k++
				})
			}))
		}
		if step.Optional {
			at(func(s *spec.Step) { s.Optional = false })
		}
		if step.NoWait {
			at(func(s *spec.Step) { s.NoWait = false })
		}
		if step.Until != "" {
			at(func(s *spec.Step) { s.Until = "" })
		}
		if step.For != 0 {
			at(func(s *spec.Step) { s.For = 0 })
		}
		if step.After != 0 {
			at(func(s *spec.Step) { s.After = 0 })
		}
		for _, name := range slices.Sorted(maps.Keys(step.With)) {
			// A parameter that must be said leaves a scenario that is none.
			at(func(s *spec.Step) {
				if delete(s.With, name); len(s.With) == 0 {
					s.With = nil
				}
			})
		}
	})
	return list
}

// fewerClients halves what there is many of.
func fewerClients(s *spec.Scenario) (list []*spec.Scenario) {
	for _, of := range []func(*spec.Traffic) **int{
		func(t *spec.Traffic) **int { return &t.Watchers }, func(t *spec.Traffic) **int { return &t.PerMember },
	} {
		if n := *of(&s.Run.Traffic); n != nil && *n > 1 {
			half := *n / 2
			list = append(list, change(s, func(s *spec.Scenario) { *of(&s.Run.Traffic) = &half }))
		}
	}
	return list
}
