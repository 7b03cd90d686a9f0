// Package bugs owns the catalogue of etcd's documented bugs: which releases have
// each, how its findings look, and the scenario that shows it. Nothing is judged
// here: findings are those of crash/verify.
package bugs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/etcdlab/etcdlab/crash/verify"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Bug is one documented bug.
type Bug struct {
	ID    string // the number of its issue or pull request
	Title string
	Link  string
	// Bad is the last release that has it and Good the first that does not, of
	// one minor version: what the scenario is shown on.
	Bad, Good string
	// In are all releases that have it.
	In []Range
	// Operation is one of the load's without which the bug does not show; ""
	// is none.
	Operation string
	// Look says what to look for.
	Look string
	// Signs are the shapes of its findings.
	Signs []Sign
}

// Range is the releases from From on and before To; "" is without end.
type Range struct {
	From string `json:"from"`
	To   string `json:"to,omitempty"`
}

func (r Range) has(version string) bool {
	return semver.Compare(version, r.From) >= 0 && (r.To == "" || semver.Compare(version, r.To) < 0)
}

// Sign is the shape of a finding.
type Sign struct {
	Check string
	Text  *regexp.Regexp // of the message
}

// Has says whether a release has the bug.
func (b *Bug) Has(version string) bool {
	return slices.ContainsFunc(b.In, func(r Range) bool { return r.has(version) })
}

// Scenario is the name of the built-in scenario that shows the bug.
func (b *Bug) Scenario() string { return "bug/" + b.ID }

// Shows says whether a finding looks like the bug's.
func (b *Bug) Shows(check string, e *verify.Evidence) bool {
	return slices.ContainsFunc(b.Signs, func(s Sign) bool { return s.Check == check && s.Text.MatchString(e.Message) })
}

// Found gives the first finding of a verdict that looks like the bug's.
func (b *Bug) Found(v *verify.Verdict) (check string, e *verify.Evidence) {
	for i := range v.Checks {
		c := &v.Checks[i]
		if c.Verdict != verify.Fail {
			continue
		}
		for k := range c.Evidence {
			if b.Shows(c.Name, &c.Evidence[k]) {
				return c.Name, &c.Evidence[k]
			}
		}
	}
	return "", nil
}

// Known gives the IDs of the bugs that a release has and that a finding in it
// looks like. mix is the load's; nil is not known.
func Known(version string, mix map[string]int, check string, e *verify.Evidence) (ids []string) {
	for i := range catalogue {
		b := &catalogue[i]
		if b.Operation != "" && mix != nil && mix[b.Operation] == 0 {
			continue
		}
		if b.Has(version) && b.Shows(check, e) {
			ids = append(ids, b.ID)
		}
	}
	return ids
}

// All is the catalogue, the oldest first.
func All() []Bug { return slices.Clone(catalogue) }

// Find returns a bug by its ID.
func Find(id string) (Bug, error) {
	id = strings.TrimPrefix(strings.TrimPrefix(id, "#"), "bug/")
	var ids []string
	for _, b := range catalogue {
		if b.ID == id {
			return b, nil
		}
		ids = append(ids, b.ID)
	}
	return Bug{}, fmt.Errorf("unknown bug %q%s; `etcdlab bugs` lists them", id, strings.TrimPrefix(spec.DidYouMean(id, ids), ";"))
}
