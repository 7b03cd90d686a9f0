package bugs

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Table writes rows as a table of Markdown that a terminal shows well, too.
func Table(w io.Writer, rows []Row) error {
	lines := [][]string{{"bug", "bad", "found", "median time to find", "good", "found", "as documented"}}
	for _, r := range rows {
		median := "–"
		if m := r.Median(); m > 0 {
			median = m.Round(100 * time.Millisecond).String()
		}
		lines = append(lines, []string{
			"[" + r.Bug.ID + "](" + r.Bug.Link + ")", r.Bug.Bad, r.Bad.String(), median, r.Bug.Good, r.Good.String(),
			map[bool]string{true: "yes", false: "no"}[r.AsDocumented()],
		})
	}
	widths := make([]int, len(lines[0]))
	for _, l := range lines {
		for i, cell := range l {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, l := range lines {
		for i, cell := range l {
			l[i] = cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		}
		if _, err := fmt.Fprintf(w, "| %s |\n", strings.Join(l, " | ")); err != nil {
			return err
		}
		if n == 0 {
			for i := range l {
				l[i] = strings.Repeat("-", widths[i])
			}
			if _, err := fmt.Fprintf(w, "|-%s-|\n", strings.Join(l, "-|-")); err != nil {
				return err
			}
		}
	}
	return nil
}
