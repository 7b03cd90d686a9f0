package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/series"
	"github.com/etcdlab/etcdlab/crash/verify"
)

// pageLegs is how many legs that passed a page lists, the newest; the others
// are in verdict.json. Those that did not pass are all listed.
const pageLegs = 500

// textLegs is how many legs a terminal gets.
const textLegs = 12

// seriesPage is what the page of a series shows, in words.
type seriesPage struct {
	Title, Scenario string
	Subtitle        []string
	Class, Word     string
	Sentence        string
	Stats           []fact
	Checks          []checkView
	Legs            []legRow
	Listed, Count   int
}

type legRow struct {
	N                                            int
	Class, Word, Href, Reason                    string
	Seed, Lab, Lasted, Operations, Faults, Judge string
	Evidence                                     string
}

// WriteSeries renders what a series has come to into its directory.
func WriteSeries(dir string, t *series.Total) error {
	var page bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&page, "series.html", newSeriesPage(t)); err != nil {
		return fmt.Errorf("render %s of the series: %w", series.FileReport, err)
	}
	if err := history.WriteFile(filepath.Join(dir, series.FileReport), page.Bytes()); err != nil {
		return fmt.Errorf("report the series: %w", err)
	}
	return nil
}

func newSeriesPage(t *series.Total) seriesPage {
	p := seriesPage{
		Scenario: line(cmp.Or(t.Scenario, "series")), Subtitle: seriesSubtitle(t), Class: class(t.Verdict), Word: word(t.Verdict),
		Sentence: seriesSentence(t), Stats: seriesStats(t), Count: len(t.Legs),
	}
	p.Title = strings.ToUpper(p.Word) + ": " + p.Scenario + ", " + counted(len(t.Legs), "leg", "legs") + ", on etcd " + line(t.Etcd)
	for _, c := range t.Checks {
		p.Checks = append(p.Checks, newCheckView(c, 0))
	}
	for _, l := range listed(t.Legs, pageLegs) {
		p.Legs = append(p.Legs, newLegRow(l))
	}
	p.Listed = len(p.Legs)
	return p
}

// listed are the legs that did not pass and the newest that did, in order.
func listed(all []series.LegView, passed int) []series.LegView {
	var out []series.LegView
	for _, l := range slices.Backward(all) {
		if l.Verdict == verify.Pass {
			if passed--; passed < 0 {
				continue
			}
		}
		out = append(out, l)
	}
	slices.Reverse(out)
	return out
}

func newLegRow(l series.LegView) legRow {
	r := legRow{
		N: l.Leg, Class: class(l.Verdict), Word: word(l.Verdict), Reason: line(l.Why()),
		Seed: strconv.FormatUint(l.Seed, 10), Lab: strconv.Itoa(l.Lab), Lasted: duration(int64(l.Seconds * 1e9)),
		Operations: number(l.Operations), Faults: number(l.Verified), Judge: duration(int64(l.Judging * 1e9)),
		Evidence: bytesOf(l.Bytes), Href: newFileView(File{Path: filepath.ToSlash(l.RunDir) + "/" + history.FileReport}).Href,
	}
	if !l.Kept {
		r.Evidence = "verdict only"
		r.Href = newFileView(File{Path: filepath.ToSlash(l.RunDir) + "/" + history.FileVerdict}).Href
	}
	return r
}

func seriesSubtitle(t *series.Total) []string {
	return []string{
		"etcd " + line(t.Etcd), "provider " + line(t.Provider), "seed " + strconv.FormatUint(t.Seed, 10),
		counted(len(t.Legs), "leg", "legs") + " in " + duration(int64(t.Played*1e9)),
	}
}

func seriesSentence(t *series.Total) string {
	switch t.Verdict {
	case verify.Pass:
		return fmt.Sprintf("Every check of every leg passed, after %s of which effect and recovery were seen.", counted(t.Tally.Verified, "fault", "faults"))
	case verify.Fail:
		return stop(line(t.Reason))
	case verify.Inconclusive:
		return "Neither proven nor refuted: " + stop(line(t.Reason))
	}
	return "Not all of it could be judged: " + stop(line(t.Reason))
}

func seriesStats(t *series.Total) []fact {
	out := []fact{
		{"operations", number(t.Operations)},
		{"verified faults", number(t.Tally.Verified)},
		{"verified faults a day", number(t.Tally.PerDay)},
		{"judging to playing", strconv.FormatFloat(t.Judging, 'f', 2, 64)},
	}
	if t.Gap != nil {
		out = append(out, fact{"median gap between loads", duration(int64(t.Gap.Median * 1e9))})
	}
	if t.Labs > 1 {
		out = append(out, fact{"labs made", number(t.Labs)})
	}
	if t.Resumed > 0 {
		out = append(out, fact{"resumed", counted(t.Resumed, "time", "times")})
	}
	for _, group := range slices.Sorted(maps.Keys(t.Tally.Groups)) {
		out = append(out, fact{line(string(group)), number(t.Tally.Groups[group])})
	}
	return out
}

// SeriesText writes the summary of a series for a terminal.
func SeriesText(w io.Writer, t *series.Total, runDir string, color bool) error {
	in := func(class, s string) string {
		if !color {
			return s
		}
		return paint[class] + s + "\x1b[0m"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %s\n%s\n\n", in(class(t.Verdict), strings.ToUpper(word(t.Verdict))), line(t.Scenario), strings.Join(seriesSubtitle(t), " · "), seriesSentence(t))
	for _, c := range t.Checks {
		k := class(c.Verdict)
		fmt.Fprintf(&b, "  %s %-15s  %-12s  %s\n", in(k, signOf[k]), line(c.Name), word(c.Verdict), line(c.Detail))
	}
	for _, s := range seriesStats(t) {
		fmt.Fprintf(&b, "  %-26s %s\n", s.Name, s.Value)
	}
	legs := listed(t.Legs, textLegs)
	if len(legs) > textLegs {
		legs = legs[:textLegs]
	}
	fmt.Fprintln(&b)
	for _, l := range legs {
		r := newLegRow(l)
		fmt.Fprintf(&b, "  %s leg %d, seed %s: %s, %s operations, %s, %s", in(r.Class, signOf[r.Class]), r.N, r.Seed, r.Word, r.Operations, counted(l.Verified, "fault", "faults"), r.Lasted)
		if r.Reason != "" {
			fmt.Fprintf(&b, ": %s", r.Reason)
		}
		fmt.Fprintf(&b, "\n      %s\n", filepath.Join(runDir, l.RunDir))
	}
	if more := len(t.Legs) - len(legs); more > 0 {
		fmt.Fprintf(&b, "  and %s\n", counted(more, "leg more", "legs more"))
	}
	fmt.Fprintf(&b, "\nreport  %s\n", filepath.Join(runDir, series.FileReport))
	_, err := io.WriteString(w, b.String())
	return err
}
