package hunt

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// describe is a scenario in a line.
func describe(s *spec.Scenario) string {
	var faults []string
	for i := range s.Run.Schedule {
		faults = append(faults, schedule.Describe(&s.Run.Schedule[i]))
	}
	ops := operationsOf(&s.Run.Traffic)
	if n := len(ops); n > 4 {
		ops = append(ops[:3:3], fmt.Sprintf("%d more", n-3))
	}
	words := []string{fmt.Sprintf("%d members", len(s.Lab.Members)), strings.Join(faults, " + "), strings.Join(ops, " ")}
	if len(s.Lab.Members) == 1 {
		words[0] = "1 member"
	}
	for _, e := range extras {
		if e.has(&s.Run.Traffic) {
			words = append(words, e.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Lab.Etcd.Args)) {
		words = append(words, name+"="+s.Lab.Etcd.Args[name])
	}
	return strings.Join(words, ", ")
}
