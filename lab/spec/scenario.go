package spec

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// ScenarioKind is what a scenario file has for kind.
const ScenarioKind = "Scenario"

// Scenario is a scenario file: a lab and a run on it. What the words of the run
// may be is for package crash to say.
type Scenario struct {
	APIVersion string
	Kind       string
	Name       string // of the scenario
	Doc        string
	Lab        Lab // as in a lab file, without apiVersion and kind
	Run        Run

	at func(path, message string) *Error // with its place in the file
}

// Problem is an error about the value at a path, such as run.fault, with its
// place in the file that the scenario was read from.
func (s *Scenario) Problem(path string, err error) error {
	if s.at == nil {
		return &Error{Path: path, Message: err.Error()}
	}
	return s.at(path, err.Error())
}

// Run is the part of a scenario that is played; zero is the command's default.
type Run struct {
	Fault   string
	Target  string
	Cut     string // of a power loss: the policy
	IO      string // of io-error
	Host    string // of host-crash
	Profile string // armed once the members serve
	Points  []string
	// Traffic is the load.
	Traffic Traffic
	// Duration is how long the load runs at least.
	Duration time.Duration
	Rounds   int
	Clients  int
	Rate     int // operations a second
	// Before and After are the acknowledged operations that each round waits for.
	Before, After int
}

// LoadScenario reads and decodes a scenario file, as Load does a lab file.
func LoadScenario(path string) (*Scenario, error) {
	file, dir, data, err := read("scenario", path)
	if err != nil {
		return nil, err
	}
	s, err := DecodeScenario(file, data)
	if err != nil {
		return nil, err
	}
	if err := s.Lab.rebase(dir); err != nil {
		return nil, fmt.Errorf("resolve the sources of %s: %w", file, err)
	}
	return s, nil
}

// DecodeScenario reads a scenario from YAML; problems are told as Decode does.
func DecodeScenario(file string, data []byte) (*Scenario, error) {
	d, root, err := newDecoder(file, data)
	if err != nil {
		return nil, err
	}
	s := &Scenario{at: func(path, message string) *Error { return d.src.at(d.placeOf(path), path, message) }}
	d.mapping(root, "", fields{
		"apiVersion": d.string(&s.APIVersion),
		"kind":       d.string(&s.Kind),
		"name":       d.string(&s.Name),
		"doc":        d.string(&s.Doc),
		"lab": func(n ast.Node, path string) {
			known := d.labFields(&s.Lab)
			delete(known, "apiVersion")
			delete(known, "kind")
			d.mapping(n, path, known)
		},
		"run": func(n ast.Node, path string) { d.run(n, path, &s.Run) },
	})
	if len(d.problems) == 0 {
		d.check("apiVersion", s.APIVersion, APIVersion)
		d.check("kind", s.Kind, ScenarioKind)
		if bad := badName("scenario", s.Name, maxLabName); bad != "" {
			d.problems = append(d.problems, d.src.at(d.placeOf("name"), "name", bad))
		}
		d.validate(&s.Lab, "lab.")
	}
	return s, d.sorted()
}

func (d *decoder) check(path, got, want string) {
	if got != want {
		d.problems = append(d.problems, d.src.at(d.placeOf(path), path, fmt.Sprintf("unknown %s %q; a scenario file has %s: %s", path, got, path, want)))
	}
}

func (d *decoder) run(n ast.Node, path string, r *Run) {
	d.mapping(n, path, fields{
		"fault": d.string(&r.Fault), "target": d.string(&r.Target), "cut": d.string(&r.Cut), "io": d.string(&r.IO),
		"host": d.string(&r.Host), "profile": d.string(&r.Profile), "points": d.list(&r.Points),
		"rounds": d.count(&r.Rounds), "clients": d.count(&r.Clients), "rate": d.count(&r.Rate),
		"before": d.count(&r.Before), "after": d.count(&r.After),
		"traffic": d.traffic(&r.Traffic), "duration": d.duration(&r.Duration),
	})
}

// count is a number of at least 1.
func (d *decoder) count(i *int) field {
	return func(n ast.Node, path string) {
		if d.int(i)(n, path); *i < 1 && len(d.problems) == 0 {
			d.fail(n, path, "%s must be at least 1, not %s", last(path), strconv.Itoa(*i))
		}
	}
}

func (d *decoder) list(l *[]string) field {
	return func(n ast.Node, path string) {
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			d.fail(n, path, "%s must be a list, not %s", last(path), describe(n))
			return
		}
		*l = slices.Grow([]string(nil), len(seq.Values))
		for i, v := range seq.Values {
			var s string
			d.value(v, fmt.Sprintf("%s[%d]", path, i), d.string(&s))
			*l = append(*l, s)
		}
	}
}
