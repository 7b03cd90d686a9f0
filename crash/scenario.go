package crash

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/etcdlab/etcdlab/lab/spec"
)

// Scenario is a lab and a run in one, by name.
type Scenario struct {
	Name    string
	Doc     string
	Covers  []string  // what of other tools it does the same as
	Lab     *spec.Lab // what the scenario says of it
	Options Options
	File    []byte // as YAML
}

// builtin are the scenarios that etcdlab has: scenario files, each named as the
// path of its file.
//
//go:embed scenarios
var builtin embed.FS

const scenarioDir = "scenarios"

// names are the built-in scenarios, sorted.
var names = sync.OnceValue(func() (names []string) {
	err := fs.WalkDir(builtin, scenarioDir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && path.Ext(p) == ".yaml" {
			names = append(names, strings.TrimSuffix(strings.TrimPrefix(p, scenarioDir+"/"), ".yaml"))
		}
		return err
	})
	if err != nil {
		panic(err) // they are in the binary
	}
	return names
})

// Scenarios lists the built-in scenarios, by name.
func Scenarios() []Scenario {
	var all []Scenario
	for _, name := range names() {
		s, err := FindScenario(name)
		if err != nil {
			panic(err) // a test looks at every scenario
		}
		all = append(all, s)
	}
	return all
}

// FindScenario returns a built-in scenario by name, with sets such as
// run.rounds=5 over it.
func FindScenario(name string, sets ...string) (Scenario, error) {
	if !slices.Contains(names(), name) {
		return Scenario{}, fmt.Errorf("unknown scenario %q%s; `etcdlab scenarios` lists them, and a scenario file's name ends in .yaml", name, near(name))
	}
	data, err := builtin.ReadFile(path.Join(scenarioDir, name+".yaml"))
	if err != nil {
		return Scenario{}, err
	}
	file, err := spec.DecodeScenario(name, data, sets...)
	if err != nil {
		return Scenario{}, err
	}
	s, err := fromFile(file)
	s.File = data
	return s, err
}

// near is the nearest scenario's name, if one is near: all would be a long list.
func near(name string) string {
	if hint := spec.DidYouMean(name, names()); !strings.HasPrefix(hint, ";") {
		return hint
	}
	return ""
}
