package hunt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/internal/seed"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// feedback is what a hunt has learned: which rounds led to new ground, and what it
// would find again.
type feedback struct {
	seed   uint64
	corpus []*spec.Scenario // the newest last
	// carried and broke count the runs with each fault that were carried out in
	// the usual time, and that broke off or took many times as long.
	carried, broke map[string]int
}

// hopelessAfter is how often a fault may break a run off before it is left out,
// and tooLong how many times the usual time is as bad.
const hopelessAfter, tooLong = 2, 4

// note counts a run.
func (f *feedback) note(s *spec.Scenario, carried bool) {
	counts := f.broke
	if carried {
		counts = f.carried
	}
	for name := range namesOf(s) {
		counts[name]++
	}
}

// hopeless is a fault that ends more runs than it lets be carried out: it may need
// what is not drawn, or take too long to draw anything else beside it.
func (f *feedback) hopeless(step *spec.Step) bool {
	name := faultName(step)
	return f.broke[name] >= hopelessAfter && f.broke[name] > f.carried[name]
}

// corpusSize are the most scenarios of the corpus, of which the oldest go first,
// and corpusLeast the fewest that are drawn from.
const corpusSize, corpusLeast = 40, 5

func (f *feedback) add(s *spec.Scenario) {
	f.corpus = append(f.corpus, s)
	if len(f.corpus) > corpusSize {
		f.corpus = f.corpus[1:]
	}
}

// shape changes what was drawn for the nth round by what was learned: a part of
// it becomes that of a round that led to new ground, and what would only find
// again what was found is left out. Its lab stays, which is its leg's.
func (f *feedback) shape(n int, drawn *spec.Scenario, found []*Finding) *spec.Scenario {
	r := seed.Rand(f.seed, fmt.Sprintf("feedback/%d", n))
	s := drawn
	if chance(r, .3) && len(f.corpus) >= corpusLeast {
		from := f.corpus[r.IntN(len(f.corpus))]
		s = change(s, func(s *spec.Scenario) {
			if chance(r, .5) {
				s.Run.Traffic = from.Clone().Run.Traffic
			} else {
				s.Run = from.Clone().Run
				s.Run.Traffic = drawn.Clone().Run.Traffic
			}
		})
		if _, err := crash.FromFile(s); err != nil {
			s = drawn // its faults are not for this lab
		}
	}
	s = change(s, func(s *spec.Scenario) {
		was := quiet(s)
		s.Run.Schedule = without(s.Run.Schedule, f.hopeless)
		if !was && quiet(s) {
			length(s, r)
		}
	})
	for _, finding := range found {
		names := namesOf(s)
		if finding.Hits < 2 || len(finding.core) == 0 || !contains(names, finding.core) || !chance(r, .8) {
			continue
		}
		var leave []ingredient
		for _, i := range ingredients(s) {
			if finding.core[i.name] && i.name != "members" && !strings.HasPrefix(i.name, "flag ") {
				leave = append(leave, i)
			}
		}
		// A load must still do something.
		if ops := operationsOf(&s.Run.Traffic); len(ops) < 2 {
			leave = slices.DeleteFunc(leave, func(i ingredient) bool { return strings.HasPrefix(i.name, "operation ") })
		}
		if len(leave) == 0 {
			continue
		}
		out := leave[r.IntN(len(leave))]
		was := quiet(s)
		if c := change(s, out.drop); !was && quiet(c) {
			length(c, r)
			s = c
		} else if _, err := crash.FromFile(c); err == nil {
			s = c
		}
	}
	return s
}

func contains(names, core map[string]bool) bool {
	for name := range core {
		if !names[name] {
			return false
		}
	}
	return true
}
