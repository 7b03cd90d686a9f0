// Package schedule owns what a run does to its lab and when: steps of faults in
// sequence, in parallel and drawn by weight, what they may target, and what
// contradicts itself. What a round does is a pure function of the schedule, the
// seed and the round's number.
package schedule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/internal/seed"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// One is a schedule of one fault.
func One(name, target string, with map[string]string) []spec.Step {
	return []spec.Step{{Fault: name, Target: target, With: with}}
}

// Round is what the nth round does, from 1: its step, with everything random in
// it drawn. Roots take turns.
func Round(steps []spec.Step, runSeed uint64, n int) spec.Step {
	i := (n - 1) % len(steps)
	return draw(spec.CloneSteps(steps[i : i+1])[0], seed.Of(runSeed, fmt.Sprintf("schedule/%d", n)), "")
}

// draw replaces random steps by the one that is drawn, and repeated ones by a
// sequence.
func draw(s spec.Step, roundSeed uint64, path string) spec.Step {
	if s.Repeat > 1 {
		again := s
		again.Repeat, again.After, again.Weight = 0, 0, 0
		times := spec.Step{After: s.After}
		for range s.Repeat {
			times.Sequence = append(times.Sequence, spec.CloneSteps([]spec.Step{again})[0])
		}
		return draw(times, roundSeed, path)
	}
	if len(s.Random) > 0 {
		total := 0
		for i := range s.Random {
			total += weight(&s.Random[i])
		}
		at := seed.Rand(roundSeed, "draw"+path).IntN(total)
		for i := range s.Random {
			if at -= weight(&s.Random[i]); at < 0 {
				drawn := s.Random[i]
				drawn.After += s.After
				return draw(drawn, roundSeed, fmt.Sprintf("%s/%d", path, i))
			}
		}
	}
	for _, list := range [][]spec.Step{s.Sequence, s.Parallel} {
		for i := range list {
			list[i] = draw(list[i], roundSeed, fmt.Sprintf("%s/%d", path, i))
		}
	}
	return s
}

func weight(s *spec.Step) int { return max(1, s.Weight) }

// Faults are the names of the faults in the steps, in their order.
func Faults(steps []spec.Step) (names []string) {
	spec.Leaves(steps, func(s *spec.Step) {
		if !slices.Contains(names, s.Fault) {
			names = append(names, s.Fault)
		}
	})
	return names
}

// Has says whether a fault is in the steps.
func Has(steps []spec.Step, name string) bool { return slices.Contains(Faults(steps), name) }

// Quiet says whether nothing is done at all.
func Quiet(steps []spec.Step) bool {
	return !slices.ContainsFunc(Faults(steps), func(n string) bool { return n != fault.NameNone })
}

// Targets are those of the steps.
func Targets(steps []spec.Step) (names []string) {
	spec.Leaves(steps, func(s *spec.Step) {
		if s.Fault != fault.NameNone && !slices.Contains(names, target(s)) {
			names = append(names, target(s))
		}
	})
	return names
}

// Values are those of one fault's parameter in the steps; "" is its default.
func Values(steps []spec.Step, name, param string) (values []string) {
	spec.Leaves(steps, func(s *spec.Step) {
		if s.Fault == name && !slices.Contains(values, s.With[param]) {
			values = append(values, s.With[param])
		}
	})
	return values
}

// Set puts a parameter of a fault in all of its steps; false is that there is none.
func Set(steps []spec.Step, name, param, value string) (found bool) {
	spec.Leaves(steps, func(s *spec.Step) {
		if s.Fault != name {
			return
		}
		if s.With == nil {
			s.With = map[string]string{}
		}
		s.With[param], found = value, true
	})
	return found
}

// Every makes a step for each value of a fault's parameter, in place of the
// roots that are that fault with the value "old".
func Every(steps []spec.Step, name, param, old string, values []string) []spec.Step {
	var out []spec.Step
	for _, s := range spec.CloneSteps(steps) {
		if s.Fault != name || s.With[param] != old {
			out = append(out, s)
			continue
		}
		for _, v := range values {
			one := spec.CloneSteps([]spec.Step{s})
			Set(one, name, param, v)
			out = append(out, one...)
		}
	}
	return out
}

// Describe is a step in a few words: "kill of leader" or "(a of x, b of y)".
func Describe(s *spec.Step) string {
	switch {
	case s.Fault == fault.NameNone:
		return "no fault"
	case s.Fault != "":
		text := s.Fault + " of " + target(s)
		if s.Until != "" {
			text += " until " + s.Until
		} else if s.For != 0 {
			text += " for " + s.For.String()
		}
		return text
	}
	between, list := " and ", s.Parallel
	if s.Sequence != nil {
		between, list = ", then ", s.Sequence
	}
	if s.Random != nil {
		between, list = " or ", s.Random
	}
	var parts []string
	for i := range list {
		parts = append(parts, Describe(&list[i]))
	}
	return "(" + strings.Join(parts, between) + ")"
}
