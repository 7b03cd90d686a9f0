package report

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

// hostile is what a broken disk or a malicious value may put into evidence.
const hostile = "</text></svg><script>alert(1)</script>\"'`&\x00\x1b[31m\xff\u202e\u2028{{.}}]]>"

func hostileData() Data {
	s := samples["fail"]
	s.build()
	v := s.verdict()
	v.Reason, v.Scenario, v.Etcd, v.Provider = hostile, hostile, hostile, hostile
	v.Checks = []verify.Check{{Name: hostile, Verdict: verify.Fail, Detail: hostile, Total: 9, Evidence: []verify.Evidence{
		{Message: hostile, Member: hostile, Keys: []string{hostile}, Time: s.run.Start + ms},
	}}, {Name: "odd", Verdict: hostile, Detail: hostile}}
	d := Data{Verdict: v, Run: s.run, Events: s.events, Final: s.final, Notes: []string{hostile}, Files: []File{{Path: hostile}, {Path: "javascript:alert(1)"}}}
	d.Run.Command, d.Run.FS, d.Run.Wall, d.Run.Kernel = hostile, hostile, hostile, hostile
	d.Run.Members[0] = history.Member{Name: hostile, ClientURL: hostile, Args: []string{hostile}}
	d.Final.Members[0].Name, d.Final.Members[0].Error, d.Final.Members[0].Alarms = hostile, hostile, []string{hostile}
	for i := range d.Events {
		e := &d.Events[i]
		if e.Member == "m1" {
			e.Member, e.Message = hostile, hostile
		}
		if e.Cut != nil {
			e.Cut.Policy, e.Cut.Profile = hostile, hostile
		}
		if e.Figures != nil {
			e.Figures.Fault, e.Figures.Targets, e.Figures.Message, e.Figures.Observed = hostile, []string{hostile}, hostile, i%2 == 0
		}
	}
	return d
}

func TestHostileEvidence(t *testing.T) {
	d := hostileData()
	page := render(t, d)
	var junit, text strings.Builder
	if err := JUnit(&junit, d); err != nil {
		t.Fatal(err)
	}
	if err := Summary(&text, d, "run", false); err != nil {
		t.Fatal(err)
	}
	for what, out := range map[string]string{"page": page, "junit": junit.String(), "text": text.String()} {
		for _, bad := range []string{"\x00", "\x1b", "\xff", "\u202e", "\u2028"} {
			if strings.Contains(out, bad) {
				t.Errorf("the %s holds a raw %q", what, bad)
			}
		}
		if !strings.Contains(out, `\x1b[31m`) || !strings.Contains(out, `\u202e`) {
			t.Errorf("the %s does not show the hostile bytes as escapes", what)
		}
		if what != "text" && strings.Contains(out, "<script") {
			t.Errorf("the %s holds a script", what)
		}
	}
	if !strings.Contains(page, `href="./javascript:alert%281%29"`) && !strings.Contains(page, `href="./javascript:alert`) {
		t.Error("the file named like a scheme is not linked as a file")
	}
}

// A failing page says what was lost where the verdict is.
func TestWorst(t *testing.T) {
	s := samples["fail"]
	v := s.build().verdict()
	page := render(t, Data{Verdict: v, Run: s.run})
	if want := `<p class="worst"><span>The worst:</span> put acknowledged at revision 4021 is missing: `; !strings.Contains(page, want) {
		t.Errorf("the page lacks %q", want)
	}
	v.Reason = "nothing of a check"
	if strings.Contains(render(t, Data{Verdict: v, Run: s.run}), "The worst:") {
		t.Error("a reason that names no failed check is told as a finding")
	}
}

func TestPageContent(t *testing.T) {
	s := samples["pass"]
	dir := t.TempDir()
	s.build().write(t, dir)
	page := render(t, Read(dir, s.verdict()))
	for _, want := range []string{
		`<html lang="en">`, `prefers-color-scheme: dark`, "@media print", `class="verdict pass"`,
		"No acknowledged write was lost: ", "after 5 power losses of all members, in which ", // the sentence
		"--snapshot-count=100", "seed 1729", "2025-11-22 10:57:03 UTC", "honest-512", "6.18.0", // the facts
		"etcdlab run power-loss --etcd v3.7.3", `href="./history.bin"`, `href="./events.jsonl"`, `href="./members/m1/etcd.log"`,
		`href="./members/m1/data/"`, `href="./disks/m1/"`, `href="./verdict.json"`,
		`class="mark cut"`, `class="up"`, `class="down"`, `class="mounting"`, `class="starting"`, `class="held"`, `class="frozen"`,
		"Every power cut, disk by disk (15)",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, `href="./report.html"`) {
		t.Error("the page lists itself: it would differ the second time")
	}
}

// The same directory gives the same bytes, again and elsewhere.
func TestWriteIsDeterministic(t *testing.T) {
	s := samples["fail"]
	first, moved := t.TempDir(), filepath.Join(t.TempDir(), "somewhere", "else")
	s.build().write(t, first)
	if err := os.Remove(filepath.Join(first, history.FileFinal)); err != nil {
		t.Fatal(err)
	}
	read := func(dir string) string {
		t.Helper()
		if err := Write(dir, s.verdict()); err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile(filepath.Join(dir, history.FileReport))
		if err != nil {
			t.Fatal(err)
		}
		junit, err := os.ReadFile(filepath.Join(dir, history.FileJUnit))
		if err != nil {
			t.Fatal(err)
		}
		return string(page) + string(junit)
	}
	want := read(first)
	if read(first) != want {
		t.Error("the second report of a directory differs from the first")
	}
	if err := os.CopyFS(moved, os.DirFS(first)); err != nil {
		t.Fatal(err)
	}
	if read(moved) != want {
		t.Error("the report of the moved directory differs")
	}
	if !strings.Contains(want, "final.json is missing.") {
		t.Error("the page does not say that final.json is missing")
	}
}

func TestBrokenDirectories(t *testing.T) {
	s := samples["error"]
	s.build()
	for _, c := range []struct {
		name, want string
		breakIt    func(dir string) error
	}{
		{"empty", "run.json is missing.", func(dir string) error { return os.RemoveAll(dir) }},
		{"history cut short", "history.bin could not be read whole: its end is missing", func(dir string) error {
			return os.Truncate(filepath.Join(dir, history.FileOps), 9000)
		}},
		{"history damaged", "history.bin could not be read whole: ", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, history.FileOps), []byte("something else entirely"), 0o644)
		}},
		{"events damaged", "events.jsonl could not be read whole: ", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, history.FileEvents), []byte("{\n"), 0o644)
		}},
		{"killed", "The run has no end", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, history.FileEvents), []byte(`{"t":91000000000000,"kind":"run-start"}`+"\n"), 0o644)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			s.write(t, dir)
			if err := c.breakIt(dir); err != nil {
				t.Fatal(err)
			}
			if page := render(t, Read(dir, s.verdict())); !strings.Contains(page, c.want) || strings.Contains(page, dir) {
				t.Errorf("the page does not say %q without naming the directory", c.want)
			}
		})
	}
}

func TestJUnit(t *testing.T) {
	d := hostileData()
	d.Verdict.Checks = append(d.Verdict.Checks, verify.Check{Name: "order", Verdict: verify.Pass}, verify.Check{Name: "hash", Verdict: verify.Inconclusive, Detail: "why"})
	var b strings.Builder
	if err := JUnit(&b, d); err != nil {
		t.Fatal(err)
	}
	var got junitSuites
	if err := xml.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	s := got.Suite
	if s.Tests != 4 || s.Failures != 1 || s.Errors != 1 || s.Skipped != 1 || len(s.Cases) != 4 {
		t.Fatalf("tests %d failures %d errors %d skipped %d, want 4, 1, 1, 1", s.Tests, s.Failures, s.Errors, s.Skipped)
	}
	if f := s.Cases[0].Failure; f == nil || !strings.Contains(f.Text, "at 0.001 s") || !strings.Contains(f.Text, "8 more") {
		t.Errorf("the failure %+v lacks its evidence", f)
	}
	if s.Cases[1].Error == nil || s.Cases[3].Skipped == nil || s.Cases[3].Skipped.Message != "why" {
		t.Error("a verdict of its own kind is an error, an inconclusive one is skipped")
	}
}

// A verdict that is not a pass never reads as one in JUnit.
func TestJUnitExplainsVerdict(t *testing.T) {
	for _, r := range []verify.Result{verify.Fail, verify.Inconclusive, verify.Error, ""} {
		v := &verify.Verdict{Verdict: r, Reason: "because", Checks: []verify.Check{{Name: "order", Verdict: verify.Pass}}}
		var b strings.Builder
		if err := JUnit(&b, Data{Verdict: v}); err != nil {
			t.Fatal(err)
		}
		var got junitSuites
		if err := xml.Unmarshal([]byte(b.String()), &got); err != nil {
			t.Fatal(err)
		}
		if s := got.Suite; s.Failures+s.Errors+s.Skipped != 1 || s.Tests != 2 {
			t.Errorf("%q: %+v", r, s)
		}
	}
}
