package hunt

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/internal/seed"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Draw gives the nth round of a hunt, from 0: a pure function of the space, the
// seed and n. The rounds of one leg have one lab.
func Draw(sp *Space, huntSeed uint64, n int) *spec.Scenario {
	s := &spec.Scenario{APIVersion: spec.APIVersion, Kind: spec.ScenarioKind, Name: fmt.Sprintf("hunt/%d", n)}
	s.Lab = drawLab(sp, seed.Rand(huntSeed, fmt.Sprintf("lab/%d", n/leg)))
	r := seed.Rand(huntSeed, fmt.Sprintf("round/%d", n))
	s.Run.Traffic = drawTraffic(r)
	drawSchedule(sp, r, s)
	return s
}

// drawSchedule draws the faults and how long the run goes on.
func drawSchedule(sp *Space, r *rand.Rand, s *spec.Scenario) {
	// A step may still contradict others, or the lab: it is drawn again.
	for {
		s.Run.Schedule = drawSteps(sp, r, len(s.Lab.Members))
		if _, err := crash.FromFile(s); err == nil {
			break
		}
	}
	length(s, r)
}

// length is short: what a few seconds show is shown often by many of them.
func length(s *spec.Scenario, r *rand.Rand) {
	s.Run.Rounds, s.Run.Duration, s.Run.Before, s.Run.After = 0, 0, 0, 0
	if quiet(s) {
		s.Run.Duration = time.Duration(pick(r, 2, 3, 4)) * second
		return
	}
	s.Run.Rounds = min(4, len(s.Run.Schedule)*pick(r, 1, 2, 3))
	s.Run.Before = pick(r, 50, 100, 200, 300)
	s.Run.After = pick(r, 20, 50)
}

func quiet(s *spec.Scenario) bool {
	quiet := true
	spec.Leaves(s.Run.Schedule, func(step *spec.Step) { quiet = quiet && step.Fault == fault.NameNone })
	return quiet
}

// pick draws one of a few.
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// chance says yes so often.
func chance(r *rand.Rand, share float64) bool { return r.Float64() < share }

// millis draws one of a few durations.
func millis(r *rand.Rand, of ...int) time.Duration {
	return time.Duration(pick(r, of...)) * time.Millisecond
}
