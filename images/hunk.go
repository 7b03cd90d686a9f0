package images

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// applyHunks gives the text with the hunks applied. A hunk's lines must be there
// exactly as it has them, though not where it says: one patch then serves many
// releases. The place nearest to where it should be is taken.
func applyHunks(old []byte, hunks []*gitdiff.TextFragment) ([]byte, error) {
	lines := strings.SplitAfter(string(old), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	var out []string
	done, shift := 0, 0 // lines of old that are in out; how far the last hunk was from its place
	for i, h := range hunks {
		var before, after []string
		for _, l := range h.Lines {
			if l.Old() {
				before = append(before, l.Line)
			}
			if l.New() {
				after = append(after, l.Line)
			}
		}
		want := int(h.OldPosition) + shift
		if len(before) > 0 {
			want-- // else it is the line that it comes after
		}
		at := locate(lines, before, done, want)
		if at < 0 {
			return nil, fmt.Errorf("hunk %d of %d (%s) does not apply: the lines that it changes are not there", i+1, len(hunks), strings.TrimSpace(h.Header()))
		}
		out = append(append(out, lines[done:at]...), after...)
		done, shift = at+len(before), shift+at-want
	}
	return []byte(strings.Join(append(out, lines[done:]...), "")), nil
}

// locate finds part in lines from first on, as near to want as can be; -1: it is
// not there.
func locate(lines, part []string, first, want int) int {
	last := len(lines) - len(part)
	if len(part) == 0 {
		// Nothing tells the place but the number.
		if want < first || want > last {
			return -1
		}
		return want
	}
	best := -1
	for at := first; at <= last; at++ {
		if best >= 0 && at-want >= want-best {
			break // no nearer one will come
		}
		if slices.Equal(lines[at:at+len(part)], part) && (best < 0 || abs(at-want) < abs(best-want)) {
			best = at
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }
