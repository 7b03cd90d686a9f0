package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// summary follows the tests of a run.
type summary struct {
	out     io.Writer
	output  map[key][]string // of tests that have not ended
	ended   int
	failed  int
	skipped int
	reasons map[string]int
}

type key struct{ pkg, test string }

func newSummary(out io.Writer) *summary {
	return &summary{out: out, output: map[key][]string{}, reasons: map[string]int{}}
}

func (s *summary) add(e event) {
	k := key{e.Package, e.Test}
	switch {
	case e.Action == "build-output" || e.Action == "output" && e.Test == "":
		// go test prints a bare PASS or FAIL before a package's line with -v only.
		if e.Output != "PASS\n" {
			fmt.Fprint(s.out, e.Output)
		}
	case e.Action == "output":
		s.output[k] = append(s.output[k], e.Output)
	case e.Test == "":
	case e.Action == "pass":
		s.end(k)
	case e.Action == "fail":
		for _, line := range s.output[k] {
			if !strings.HasPrefix(line, "=== ") {
				fmt.Fprint(s.out, line)
			}
		}
		s.failed++
		s.end(k)
	case e.Action == "skip":
		s.skipped++
		s.reasons[reason(s.output[k])]++
		s.end(k)
	}
}

func (s *summary) end(k key) {
	s.ended++
	delete(s.output, k)
}

// finish prints what tests said that never ended (their process died), and the
// last line.
func (s *summary) finish() {
	unfinished := slices.SortedFunc(maps.Keys(s.output), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.test, b.test))
	})
	for _, k := range unfinished {
		fmt.Fprintf(s.out, "--- NEVER ENDED: %s (%s)\n%s", k.test, k.pkg, strings.Join(s.output[k], ""))
	}
	fmt.Fprintf(s.out, "%d tests ended, %d failed, %d skipped", s.ended, s.failed, s.skipped)
	if s.skipped > 0 {
		reasons := slices.SortedFunc(maps.Keys(s.reasons), func(a, b string) int {
			return cmp.Or(cmp.Compare(s.reasons[b], s.reasons[a]), cmp.Compare(a, b))
		})
		for i, r := range reasons {
			reasons[i] = fmt.Sprintf("%d %s", s.reasons[r], r)
		}
		fmt.Fprintf(s.out, ": %s", strings.Join(reasons, "; "))
	}
	fmt.Fprintln(s.out)
}

// reason is the last thing a skipped test said: "    x_test.go:9: needs root".
func reason(output []string) string {
	said := ""
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		said = line
	}
	if place, what, ok := strings.Cut(said, ": "); ok && strings.Contains(place, ".go:") {
		said = what
	}
	return cmp.Or(said, "without a reason")
}
