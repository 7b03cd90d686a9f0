package disk

import (
	"strconv"
	"strings"
)

// Uncovered returns, in log order, the entries before the position cut that
// change the disk and that no flush completed before cut covers: those that a
// loss of power there may lose. A cut past the end is one at the end.
func (l *Log) Uncovered(cut uint64) []Entry {
	return uncovered(l.upTo(cut), l.EndMarks)
}

func (l *Log) upTo(cut uint64) []Entry {
	return l.Entries[:min(cut, uint64(len(l.Entries)))]
}

func uncovered(entries []Entry, endMarks bool) []Entry {
	from := covered(entries, endMarks)
	var out []Entry
	for _, e := range entries[from:] {
		if e.Writes() && e.Flags&FlagFUA == 0 {
			out = append(out, e)
		}
	}
	return out
}

// covered returns how many of the first entries the last completed flush
// covers: a flush covers a prefix of the log, what was logged before it was
// submitted.
func covered(entries []Entry, endMarks bool) int {
	most := 0
	for i, e := range entries {
		switch {
		case e.Flags&FlagFlush != 0 && !endMarks:
			// The data that a flush carries is written after it.
			most = max(most, i)
		case e.Flags&FlagMark != 0 && endMarks:
			if back, ok := flushEnd(e.Text); ok && back <= i && entries[i-back].Flags&FlagFlush != 0 {
				most = max(most, i-back)
			}
		}
	}
	return most
}

// flushEnd parses an end mark: how many entries before it its flush is. The
// distance is relative so that a part of a log means the same as the whole.
func flushEnd(text string) (back int, ok bool) {
	s, ok := strings.CutPrefix(text, markFlushEnd)
	if !ok {
		return 0, false
	}
	back, err := strconv.Atoi(s)
	return back, err == nil && back > 0
}
