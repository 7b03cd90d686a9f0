package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func reportOf(t *testing.T, f *Front, failed bool) (r *Report, complaints []string) {
	t.Helper()
	r = newReport("a front, of tests")
	for _, tt := range tests {
		r.note(f, tt, failed)
	}
	return r, try(t, "check", func(t testing.TB) { r.check(t) })
}

func TestReportHasNoEmptyCell(t *testing.T) {
	r, complaints := reportOf(t, &Front{}, false)
	if len(complaints) > 0 || len(r.Rows) != len(Capabilities()) {
		t.Fatalf("%d rows, %q", len(r.Rows), complaints)
	}
	for _, row := range r.Rows {
		if !row.Works || row.Reason != "" {
			t.Errorf("%+v", row)
		}
	}
	r, complaints = reportOf(t, &Front{}, true)
	for _, row := range r.Rows {
		if row.Works || row.Reason != "FAILED" {
			t.Errorf("%+v, %q", row, complaints)
		}
	}
	// Without a cut nothing shows what survives one.
	for lacks, want := range map[Capability]string{CapCut: "torn", "flying": "there is no such capability"} {
		_, complaints = reportOf(t, &Front{Lacks: map[Capability]string{lacks: "it just does"}}, false)
		if !strings.Contains(strings.Join(complaints, "\n"), want) {
			t.Errorf("lacks %s: %q", lacks, complaints)
		}
	}
	none := map[Capability]string{}
	for _, c := range Capabilities() {
		none[c] = "no reason is too small"
	}
	if r, complaints = reportOf(t, &Front{Lacks: none}, false); len(complaints) > 0 || r.Rows[0].Works {
		t.Errorf("a front that lacks all: %+v, %q", r.Rows[0], complaints)
	}
	r = newReport("fickle")
	r.note(&Front{}, tests[0], false)
	r.note(&Front{Lacks: none}, tests[0], false)
	if len(try(t, "check", func(t testing.TB) { r.check(t) })) == 0 {
		t.Error("a capability that only some disks of a front have passes")
	}
}

func TestReportIsWritten(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(EnvDir, dir)
	r, _ := reportOf(t, &Front{}, false)
	r.write(t)
	data, err := os.ReadFile(filepath.Join(dir, "disk-a-front-of-tests.json"))
	must(t, err)
	var got Report
	must(t, json.Unmarshal(data, &got))
	if got.Subject != r.Subject || len(got.Rows) != len(r.Rows) || got.Rows[0] != r.Rows[0] {
		t.Errorf("read back %+v", got)
	}
}

// A trial ends at its first Fatal, runs its cleanups, and fails nothing else.
func TestTrial(t *testing.T) {
	var order []string
	got := try(t, "a trial", func(t testing.TB) {
		t.Cleanup(func() { order = append(order, "first"); t.Fatal("at the end") })
		t.Cleanup(func() { order = append(order, "second") })
		t.Errorf("one of %d", 3)
		func() { t.Fatalf("two") }()
		order = append(order, "never")
	})
	if strings.Join(got, "; ") != "a trial: one of 3; a trial: two; a trial: at the end" || strings.Join(order, " ") != "second first" {
		t.Errorf("a trial says %q, in the order %v", got, order)
	}
	if got := try(t, "skipped", func(t testing.TB) { t.Skip("why not") }); len(got) > 0 {
		t.Errorf("a skipped trial says %q", got)
	}
}
