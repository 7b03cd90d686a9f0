package hunt

import (
	"context"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Oracle says whether a scenario still shows what is looked for.
type Oracle func(ctx context.Context, s *spec.Scenario) (bool, error)

// Shrink makes a scenario as small as the oracle lets it, and stops at the best so
// far when the context ends. What it gives is what it was given, or a scenario
// that the oracle has said yes to. done is that nothing more can be left out.
func Shrink(ctx context.Context, s *spec.Scenario, ask Oracle, better func(*spec.Scenario)) (small *spec.Scenario, done bool, err error) {
	small = s
	asked := map[string]bool{text(s): true}
	for smaller := true; smaller; {
		smaller = false
		for _, pass := range passes {
			for found := true; found; {
				found = false
				for _, candidate := range pass(small) {
					key := text(candidate)
					if asked[key] {
						continue
					}
					asked[key] = true
					if _, err := crash.FromFile(candidate); err != nil {
						continue // it contradicts itself
					}
					yes, err := ask(ctx, candidate)
					if err != nil || ctx.Err() != nil {
						return small, false, err
					}
					if yes {
						small, found, smaller = candidate, true, true
						better(small)
						break
					}
				}
			}
		}
	}
	return small, true, nil
}

// text tells scenarios apart.
func text(s *spec.Scenario) string {
	b, err := s.Marshal()
	if err != nil {
		panic(err) // a struct of simple types
	}
	return string(b)
}

// change is a scenario with one thing done to it.
func change(s *spec.Scenario, do func(*spec.Scenario)) *spec.Scenario {
	c := s.Clone()
	do(c)
	return c
}
