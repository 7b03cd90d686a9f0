package spec

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Step is one entry of a schedule: a fault, or steps together (exactly one of
// Fault, Sequence, Parallel and Random is set). What faults, targets and
// parameters there are is for packages above to say.
type Step struct {
	Fault  string            `yaml:"fault,omitempty" json:"fault,omitempty"`
	Target string            `yaml:"target,omitempty" json:"target,omitempty"` // "" is all
	With   map[string]string `yaml:"with,omitempty" json:"with,omitempty"`     // the fault's parameters
	// For is how long the fault lasts once it was seen to take effect; with
	// Until, at most. Zero is no longer than it takes.
	For time.Duration `yaml:"for,omitempty" json:"for,omitempty"`
	// Until is a condition that ends the fault: "snapshot".
	Until string `yaml:"until,omitempty" json:"until,omitempty"`
	// After is how long to wait before the step begins.
	After time.Duration `yaml:"after,omitempty" json:"after,omitempty"`
	// NoWait lets the schedule go on before the targets serve again.
	NoWait bool `yaml:"noWait,omitempty" json:"noWait,omitempty"`
	// Optional skips the step where the lab cannot do it, and says so.
	Optional bool `yaml:"optional,omitempty" json:"optional,omitempty"`
	Weight   int  `yaml:"weight,omitempty" json:"weight,omitempty"` // within Random; 0 is 1
	Repeat   int  `yaml:"repeat,omitempty" json:"repeat,omitempty"` // how often in a row; 0 is once

	Sequence []Step `yaml:"sequence,omitempty" json:"sequence,omitempty"` // one after the other
	Parallel []Step `yaml:"parallel,omitempty" json:"parallel,omitempty"` // all at once
	Random   []Step `yaml:"random,omitempty" json:"random,omitempty"`     // one, drawn by weight
}

// maxDepth bounds steps within steps.
const maxDepth = 8

// steps decodes a schedule.
func (d *decoder) steps(l *[]Step, depth int) field {
	return func(n ast.Node, path string) {
		if m, ok := n.(ast.MapNode); ok && d.over {
			d.stepsByIndex(*l, m, path, depth)
			return
		}
		seq, ok := n.(*ast.SequenceNode)
		switch {
		case !ok:
			d.fail(n, path, "%s must be a list of steps, not %s", last(path), describe(n))
			return
		case depth > maxDepth:
			d.fail(n, path, "steps are nested more than %d deep", maxDepth)
			return
		case len(seq.Values) == 0:
			d.fail(n, path, "%s has no steps", last(path))
			return
		}
		*l = make([]Step, len(seq.Values))
		for i, v := range seq.Values {
			d.value(v, fmt.Sprintf("%s[%d]", path, i), d.step(&(*l)[i], depth))
		}
	}
}

// stepsByIndex changes steps that are there, as --set schedule[1].for=5s does.
func (d *decoder) stepsByIndex(l []Step, m ast.MapNode, path string, depth int) {
	d.pairs(m.(ast.Node), path, func(key string, at *ast.MappingValueNode) {
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= len(l) {
			d.fail(at, path, "there is no %s[%s]; there are %d steps", last(path), key, len(l))
			return
		}
		d.value(at.Value, fmt.Sprintf("%s[%d]", path, i), d.step(&l[i], depth))
	})
}

// step is a mapping, or the bare name of a fault.
func (d *decoder) step(s *Step, depth int) field {
	return func(n ast.Node, path string) {
		if _, ok := n.(ast.MapNode); !ok {
			if _, ok := text(n); !ok {
				d.fail(n, path, "a step is a fault's name or a mapping, not %s", describe(n))
				return
			}
			d.string(&s.Fault)(n, path)
			return
		}
		found := len(d.problems)
		d.mapping(n, path, fields{
			"fault": d.string(&s.Fault), "target": d.string(&s.Target), "with": d.words(&s.With),
			"for": d.duration(&s.For), "until": d.string(&s.Until), "after": d.duration(&s.After),
			"noWait": d.bool(&s.NoWait), "optional": d.bool(&s.Optional),
			"weight": d.count(&s.Weight), "repeat": d.count(&s.Repeat),
			"sequence": d.steps(&s.Sequence, depth+1), "parallel": d.steps(&s.Parallel, depth+1), "random": d.steps(&s.Random, depth+1),
		})
		if len(d.problems) == found {
			if wrong := s.contradiction(); wrong != "" {
				d.fail(n, path, "%s", wrong)
			}
		}
	}
}

// contradiction is what in the step does not go together, or "".
func (s *Step) contradiction() string {
	kinds := 0
	for _, set := range []bool{s.Fault != "", s.Sequence != nil, s.Parallel != nil, s.Random != nil} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds == 0:
		return "a step has a fault, or a sequence, parallel or random list of steps"
	case kinds > 1:
		return "a step has only one of fault, sequence, parallel and random"
	case s.Fault == "" && (s.Target != "" || s.With != nil || s.For != 0 || s.Until != "" || s.NoWait || s.Optional):
		return "target, with, for, until, noWait and optional are those of a fault; set them in the steps inside"
	}
	return ""
}

// Leaves calls f with every fault of the steps.
func Leaves(steps []Step, f func(*Step)) {
	for i := range steps {
		s := &steps[i]
		if s.Fault != "" {
			f(s)
		}
		Leaves(s.Sequence, f)
		Leaves(s.Parallel, f)
		Leaves(s.Random, f)
	}
}

// CloneSteps is a deep copy.
func CloneSteps(steps []Step) []Step {
	if steps == nil {
		return nil
	}
	out := slices.Clone(steps)
	for i := range out {
		s := &out[i]
		s.With = maps.Clone(s.With)
		s.Sequence, s.Parallel, s.Random = CloneSteps(s.Sequence), CloneSteps(s.Parallel), CloneSteps(s.Random)
	}
	return out
}
