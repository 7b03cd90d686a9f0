package main

import (
	"slices"
	"testing"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Every row of the tools before us has a scenario, and no scenario claims a row
// that there is not.
func TestRowsAreCovered(t *testing.T) {
	covers := covered()
	for _, row := range rows() {
		if len(covers[row]) == 0 {
			t.Errorf("no scenario covers %q", row)
		}
	}
	for row, by := range covers {
		if !slices.Contains(rows(), row) {
			t.Errorf("%v cover %q, which no tool has", by, row)
		}
	}
}

// The scenario that tries every fault has every fault.
func TestEveryFault(t *testing.T) {
	s, err := crash.FindScenario("every-fault")
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{fault.NameNone: true}
	spec.Leaves(s.Options.Schedule, func(s *spec.Step) { tried[s.Fault] = true })
	for _, k := range fault.Kinds() {
		if !tried[k.Name] {
			t.Errorf("every-fault does not try %s", k.Name)
		}
	}
}
