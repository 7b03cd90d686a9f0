package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
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
	Name       string // of the scenario; slashes group them
	Doc        string
	Covers     []string // what of other tools it does the same as: "Jepsen: kill"
	Lab        Lab      // as in a lab file, without apiVersion and kind
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
	// Fault and what belongs to it is the short form of a schedule of one step.
	Fault  string   `yaml:"fault,omitempty"`
	Target string   `yaml:"target,omitempty"`
	Cut    string   `yaml:"cut,omitempty"`    // of a power loss: the policy
	IO     string   `yaml:"io,omitempty"`     // of io-error
	Host   string   `yaml:"host,omitempty"`   // of host-crash
	Points []string `yaml:"points,omitempty"` // of failpoint, a step each
	// Schedule is what is done, a step a round and again from the first.
	Schedule []Step        `yaml:"schedule,omitempty"`
	Rounds   int           `yaml:"rounds,omitempty"`
	Every    time.Duration `yaml:"every,omitempty"` // from one round's start to the next's, at least

	Profile string `yaml:"profile,omitempty"` // of the disks, armed once the members serve
	// Traffic is the load.
	Traffic Traffic `yaml:"traffic,omitempty"`
	// Duration is how long the load runs at least. Without rounds, the schedule
	// goes on for so long.
	Duration time.Duration `yaml:"duration,omitempty"`
	// Budget is the time after which no round is begun.
	Budget  time.Duration `yaml:"budget,omitempty"`
	Clients int           `yaml:"clients,omitempty"`
	Rate    int           `yaml:"rate,omitempty"` // operations a second
	// Before and After are the acknowledged operations that each round waits for.
	Before  int           `yaml:"before,omitempty"`
	After   int           `yaml:"after,omitempty"`
	Recover time.Duration `yaml:"recover,omitempty"` // how long members have to serve again
	// Checks are those that must come to a verdict; none is all. Any that fails
	// fails the run, named or not.
	Checks []string `yaml:"checks,omitempty"`
}

// LoadScenario reads and decodes a scenario file, as Load does a lab file.
func LoadScenario(path string, sets ...string) (*Scenario, error) {
	file, dir, data, err := read("scenario", path)
	if err != nil {
		return nil, err
	}
	s, err := DecodeScenario(file, data, sets...)
	if err != nil {
		return nil, err
	}
	if err := s.Lab.rebase(dir); err != nil {
		return nil, fmt.Errorf("resolve the sources of %s: %w", file, err)
	}
	return s, nil
}

// DecodeScenario reads a scenario from YAML, with sets such as run.rounds=5 over
// it; problems are told as Decode does.
func DecodeScenario(file string, data []byte, sets ...string) (*Scenario, error) {
	d, root, err := newDecoder(file, data)
	if err != nil {
		return nil, err
	}
	s := &Scenario{at: func(path, message string) *Error { return d.src.at(d.placeOf(path), path, message) }}
	d.scenario(root, s)
	for _, set := range sets {
		if len(d.problems) > 0 {
			break
		}
		if err := s.set(set); err != nil {
			return nil, err
		}
	}
	if len(d.problems) == 0 {
		d.check("apiVersion", s.APIVersion, APIVersion)
		d.check("kind", s.Kind, ScenarioKind)
		for part := range strings.SplitSeq(s.Name, "/") {
			if bad := badName("scenario", part, maxScenarioName); bad != "" {
				d.problems = append(d.problems, d.src.at(d.placeOf("name"), "name", bad))
			}
		}
		d.validate(&s.Lab, "lab.")
	}
	return s, d.sorted()
}

func (d *decoder) scenario(root ast.Node, s *Scenario) {
	d.mapping(root, "", fields{
		"apiVersion": d.string(&s.APIVersion),
		"kind":       d.string(&s.Kind),
		"name":       d.string(&s.Name),
		"doc":        d.string(&s.Doc),
		"covers":     d.list(&s.Covers),
		"lab": func(n ast.Node, path string) {
			known := d.labFields(&s.Lab)
			delete(known, "apiVersion")
			delete(known, "kind")
			d.mapping(n, path, known)
		},
		"run": func(n ast.Node, path string) { d.run(n, path, &s.Run) },
	})
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
		"schedule": d.steps(&r.Schedule, 1), "every": d.duration(&r.Every), "budget": d.duration(&r.Budget),
		"recover": d.duration(&r.Recover), "checks": d.list(&r.Checks),
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
