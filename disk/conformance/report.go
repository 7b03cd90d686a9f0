package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// EnvDir names the directory into which a run writes what it found, a file for
// each front.
const EnvDir = "ETCDLAB_CAPABILITIES"

// Row is what came of one capability.
type Row struct {
	Test   string `json:"test"` // the capability
	Works  bool   `json:"works"`
	Reason string `json:"reason,omitempty"` // why it does not
}

// Report is what came of all of them, in their order.
type Report struct {
	Subject string `json:"subject"` // the front
	Rows    []Row  `json:"rows"`

	tests, failures map[Capability]int
	unknown         Capability
	filtered        bool // by go test -run: says nothing of what was left out
}

func newReport(name string) *Report {
	r := &Report{Subject: name, tests: map[Capability]int{}, failures: map[Capability]int{}}
	for _, c := range Capabilities() {
		r.Rows = append(r.Rows, Row{Test: string(c)})
	}
	return r
}

// note adds what came of a test.
func (r *Report) note(f *Front, tt test, failed bool) {
	for i := range r.Rows {
		r.Rows[i].Reason = f.Lacks[Capability(r.Rows[i].Test)]
	}
	for c := range f.Lacks {
		if !slices.Contains(Capabilities(), c) {
			r.unknown = c
		}
	}
	if !f.has(tt.needs...) {
		return
	}
	for _, c := range tt.needs {
		r.tests[c]++
		if failed {
			r.failures[c]++
		}
	}
}

// check fills the rows in, and fails on a capability that is neither seen to
// work nor lacking for a reason.
func (r *Report) check(t testing.TB) {
	t.Helper()
	if r.unknown != "" {
		t.Errorf("%s lacks %q: there is no such capability", r.Subject, r.unknown)
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		c := Capability(row.Test)
		switch {
		case row.Reason != "" && r.tests[c] > 0:
			t.Errorf("%s has %s on some of its disks, and lacks it on others: %s", r.Subject, c, row.Reason)
		case r.failures[c] > 0:
			row.Reason = "FAILED"
		case row.Reason == "" && r.tests[c] == 0:
			row.Reason = "UNTESTED"
			t.Errorf("%s: no test shows %s, as each needs something else that it lacks: give a reason in Lacks", r.Subject, c)
		default:
			row.Works = row.Reason == ""
		}
	}
}

// write stores the report where it is wanted.
func (r *Report) write(t testing.TB) {
	t.Helper()
	dir := os.Getenv(EnvDir)
	if dir == "" || r.Subject == "" || t.Failed() {
		return
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		name := strings.NewReplacer(" ", "-", ",", "").Replace(r.Subject)
		err = os.WriteFile(filepath.Join(dir, "disk-"+name+".json"), append(data, '\n'), 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}
