package hunt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Rate is how often of how many seeds.
type Rate struct {
	Failed int `json:"failed"`
	Of     int `json:"of"`
}

func (r Rate) String() string { return fmt.Sprintf("%d of %d", r.Failed, r.Of) }

// Later is a release on which the same scenario passes.
type Later struct {
	Etcd   string `json:"etcd"`
	Passed int    `json:"passed"`
	Of     int    `json:"of"`
}

// Finding is one way in which etcd broke a promise. It is stored in a directory of
// its own, beside its scenario and the evidence.
type Finding struct {
	ID        string   `json:"id"`
	Etcd      string   `json:"etcd"`
	Check     string   `json:"check"`
	Signature string   `json:"signature"`
	Known     []string `json:"known"` // IDs of the catalogue
	// Like is an earlier finding of the hunt whose scenario has nothing that this
	// one's has not: it may be the same bug, seen elsewhere.
	Like    string `json:"like,omitempty"`
	Message string `json:"message"`
	Round   int    `json:"round"` // of the hunt, which found it
	Seed    uint64 `json:"seed"`  // of that run
	Hits    int    `json:"hits"`  // rounds of the hunt that found it
	// Scenario is the file that reproduces it, Evidence the run directory of one
	// time that it happened.
	Scenario string `json:"scenario"`
	Evidence string `json:"evidence"`
	// Shrunk says that the scenario was made as small as the budget let it.
	Shrunk bool `json:"shrunk"`
	// Rate is how often the scenario fails so, of the seeds from 1 on.
	Rate   Rate    `json:"rate"`
	Passes *Later  `json:"passes,omitempty"`
	Shapes []Shape `json:"shapes"` // in which it was seen

	// weak says that the scenario seldom did it again; weakly how many did.
	weak   bool
	weakly int

	dir  string
	file *spec.Scenario
	core map[string]bool // ingredients of every scenario that found it
}

const (
	scenarioFile = "scenario.yaml"
	findingFile  = "finding.json"
	evidenceDir  = "run"
)

// idOf is the same for the same signature on the same release.
func idOf(version string, s Shape) string {
	h := sha256.Sum256([]byte(s.String()))
	return version + "-" + s.Check + "-" + hex.EncodeToString(h[:4])
}

// shows says whether an outcome has the finding among what it shows.
func (f *Finding) shows(shapes []Shape) bool {
	return slices.ContainsFunc(shapes, func(s Shape) bool { return s.Check == f.Check && slices.Contains(f.Shapes, s) })
}

// saw notes that a run of the scenario showed the finding.
func (f *Finding) saw(s *spec.Scenario, shapes []Shape) {
	for _, x := range shapes {
		if !slices.Contains(f.Shapes, x) {
			f.Shapes = append(f.Shapes, x)
		}
	}
	names := namesOf(s)
	if f.core == nil {
		f.core = names
	}
	for name := range f.core {
		if !names[name] {
			delete(f.core, name)
		}
	}
}

// store writes what is known of the finding, each file whole.
func (f *Finding) store() error {
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return err
	}
	data, err := f.file.Marshal()
	if err != nil {
		return err
	}
	note := fmt.Sprintf("# %s\n# fails on %s with %s of seeds 1 to %d", strings.ReplaceAll(f.Signature, "\n", " "), f.Etcd, f.Rate, f.Rate.Of)
	if f.Passes != nil {
		note += fmt.Sprintf("; passes on %s with %d of %d", f.Passes.Etcd, f.Passes.Passed, f.Passes.Of)
	}
	if err := history.WriteFile(f.Scenario, append([]byte(note+"\n"), data...)); err != nil {
		return err
	}
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return history.WriteFile(filepath.Join(f.dir, findingFile), append(b, '\n'))
}

// Load reads a finding that a hunt has stored.
func Load(dir string) (*Finding, error) {
	b, err := os.ReadFile(filepath.Join(dir, findingFile))
	if err != nil {
		return nil, fmt.Errorf("read the finding in %s: %w", dir, err)
	}
	f := &Finding{dir: dir}
	if err := json.Unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("read the finding in %s: %w", dir, err)
	}
	f.file, err = spec.LoadScenario(filepath.Join(dir, scenarioFile))
	return f, err
}
