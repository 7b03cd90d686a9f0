package report

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

// textEvidence is how much evidence of a check a terminal gets; the page has
// the rest.
const textEvidence = 3

var paint = map[string]string{"pass": "\x1b[1;32m", "fail": "\x1b[1;31m", "inconclusive": "\x1b[1;33m", "error": "\x1b[1;35m"}

var signOf = map[string]string{"pass": "✓", "fail": "✗", "inconclusive": "?", "error": "!"}

// Text writes the summary for a terminal: the verdict, the checks, the rounds'
// figures and where the report is. dir is read; runDir is what the reader is
// told, and may be relative to where they are.
func Text(w io.Writer, dir string, v *verify.Verdict, runDir string, color bool) error {
	return Summary(w, Read(dir, v), runDir, color)
}

// Summary is Text of data that was read already.
func Summary(w io.Writer, d Data, runDir string, color bool) error {
	b := bufio.NewWriter(w)
	in := func(class, s string) string {
		if !color {
			return s
		}
		return paint[class] + s + "\x1b[0m"
	}
	v := d.Verdict
	fmt.Fprintf(b, "%s  %s  %s\n%s\n", in(class(v.Verdict), strings.ToUpper(word(v.Verdict))), line(v.Scenario), strings.Join(subtitle(d), " · "), Sentence(d))
	for _, n := range notes(d) {
		fmt.Fprintf(b, "note: %s\n", n)
	}
	if len(v.Checks) > 0 {
		fmt.Fprintln(b)
	}
	width := 0
	for _, c := range v.Checks {
		width = max(width, utf8.RuneCountInString(line(c.Name)))
	}
	for _, c := range v.Checks {
		k := class(c.Verdict)
		fmt.Fprintf(b, "  %s %-*s  %-12s  %s\n", in(k, signOf[k]), width, line(c.Name), word(c.Verdict), line(c.Detail))
		if c.Verdict != verify.Pass {
			textOfEvidence(b, c)
		}
	}
	if rows := textRounds(d); len(rows) > 1 {
		fmt.Fprintln(b)
		columns(b, rows)
	}
	fmt.Fprintf(b, "\nreport  %s\n", filepath.Join(runDir, history.FileReport))
	return b.Flush()
}

func textOfEvidence(w io.Writer, c verify.Check) {
	for i, e := range c.Evidence {
		if i == textEvidence {
			break
		}
		fmt.Fprintf(w, "      %s\n", line(e.Message))
		if i > 0 { // one story is enough on a terminal
			continue
		}
		for _, s := range e.Story {
			fmt.Fprintf(w, "        %s\n", line(s))
		}
	}
	if more := max(c.Total, len(c.Evidence)) - min(len(c.Evidence), textEvidence); more > 0 && len(c.Evidence) > 0 {
		fmt.Fprintf(w, "      and %s more\n", number(more))
	}
}

// textRounds is the table of figures, with its heading: of each round, or of
// each kind when there are many.
func textRounds(d Data) [][]string {
	view := newRoundsView(d)
	if view.Many {
		rows := [][]string{{"rounds", "fault", "targets", "policy", "seen", "un-flushed", "dropped", "torn", "ops/s", "recovery", "longest"}}
		for _, g := range view.Groups {
			rows = append(rows, []string{g.Rounds, g.Fault, g.Target, g.Policy, g.Seen, g.Uncovered, g.Dropped, g.Torn, g.PerSecond, g.Recovery, g.Longest})
		}
		return rows
	}
	rows := [][]string{{"round", "fault", "targets", "policy", "seen", "un-flushed", "dropped", "torn", "ops/s", "recovery"}}
	for _, r := range view.Rows {
		rows = append(rows, []string{strconv.Itoa(r.N), r.Fault, r.Targets, r.Policy, r.Seen, r.Uncovered, r.Dropped, r.Torn, r.PerSecond, r.Recovery})
	}
	return rows
}

// columns lines a table up: the first column and all after the policy hold
// figures and end together, the others begin together.
func columns(w io.Writer, rows [][]string) {
	width := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, s := range r {
			width[i] = max(width[i], utf8.RuneCountInString(s))
		}
	}
	for _, r := range rows {
		var b strings.Builder
		for i, s := range r {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(s))
			if i == 0 || i > 3 {
				s = pad + s
			} else {
				s += pad
			}
			b.WriteString("  " + s)
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}
