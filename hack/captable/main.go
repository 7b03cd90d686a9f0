// Command captable writes docs/capabilities.md from what the conformance suites
// found: captable DIR, with the reports that they leave in $ETCDLAB_CAPABILITIES.
// It fails on a table with an empty cell.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const head = `# What each provider can do

Made by ` + "`make capabilities`" + ` from what the conformance suites found when they
were run; not written by hand. *works* is a test that passed; a number is the
reason, below, that the provider gave for lacking it.
`

// report is what a suite leaves; lab/conformance and disk/conformance write it.
type report struct {
	Subject string `json:"subject"`
	Rows    []struct {
		Test   string `json:"test"`
		Works  bool   `json:"works"`
		Reason string `json:"reason"`
	} `json:"rows"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: captable DIR")
		os.Exit(2)
	}
	page, err := write(os.Args[1])
	if err == nil {
		_, err = os.Stdout.Write(page)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "captable:", err)
		os.Exit(1)
	}
}

func write(dir string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(head)
	for _, t := range []struct{ title, files string }{
		{"Labs and their members", "lab-*.json"},
		{"Disks, through the block device that the members see", "disk-*.json"},
	} {
		reports, err := read(filepath.Join(dir, t.files))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "\n## %s\n\n", t.title)
		if err := table(&b, reports); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func read(glob string) (all []report, err error) {
	files, err := filepath.Glob(glob)
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, fmt.Errorf("no report %s", glob))
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var r report
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, fmt.Errorf("read %s: %w", f, err)
		}
		all = append(all, r)
	}
	return all, nil
}

func table(b *bytes.Buffer, reports []report) error {
	var tests, reasons []string
	cells := map[string]map[string]string{}
	fmt.Fprint(b, "| |")
	for _, r := range reports {
		fmt.Fprintf(b, " %s |", r.Subject)
		for _, row := range r.Rows {
			if !slices.Contains(tests, row.Test) {
				tests = append(tests, row.Test)
				cells[row.Test] = map[string]string{}
			}
			cell := "**works**"
			if !row.Works {
				if row.Reason == "" {
					return fmt.Errorf("%s: %s neither works nor has a reason", r.Subject, row.Test)
				}
				n := slices.Index(reasons, row.Reason)
				if n < 0 {
					n = len(reasons)
					reasons = append(reasons, row.Reason)
				}
				cell = fmt.Sprintf("skipped (%d)", n+1)
			}
			cells[row.Test][r.Subject] = cell
		}
	}
	fmt.Fprintf(b, "\n|---|%s\n", strings.Repeat("---|", len(reports)))
	for _, t := range tests {
		fmt.Fprintf(b, "| %s |", t)
		for _, r := range reports {
			cell := cells[t][r.Subject]
			if cell == "" {
				return fmt.Errorf("%s has nothing for: %s", r.Subject, t)
			}
			fmt.Fprintf(b, " %s |", cell)
		}
		fmt.Fprintln(b)
	}
	fmt.Fprintln(b)
	for n, reason := range reasons {
		fmt.Fprintf(b, "%d. %s\n", n+1, reason)
	}
	return nil
}
