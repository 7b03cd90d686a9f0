package report

import (
	"fmt"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

// row is one member's lane as it is drawn: spans, or when there are too many
// of them, one outline for each state.
type row struct {
	Name, Title, TextY string
	Spans              []box
	Shares             []share
	Marks              []mark
}

type share struct{ Class, Path, Title string }

const (
	mostSpans = 300 // that can be pointed at in a lane
	shareBars = plotWidth / 10
)

func dense(l lane) bool { return len(l.spans) > mostSpans }

// newRow draws a lane, its top at y.
func newRow(l lane, events []history.Event, a axis, y float64) row {
	mid := y + laneHeight/2
	r := row{Name: short(l.member, 11), Title: line(l.member), TextY: px(mid + 4)}
	if dense(l) {
		r.Shares = stacked(l, a, mid+laneBar/2)
	} else {
		r.Spans = boxes(l, a, mid)
	}
	r.Marks = memberMarks(l.member, events, a, y+7)
	return r
}

// boxes draws the later span first: one that is made visible by the least
// width then covers what follows it, never what led to it.
func boxes(l lane, a axis, mid float64) []box {
	var out []box
	for i := len(l.spans) - 1; i >= 0; i-- {
		s := l.spans[i]
		h := float64(laneBar)
		if s.state == down {
			h = 2
		}
		x := a.x(s.from)
		out = append(out, box{X: px(x), W: px(max(a.x(s.to)-x, 1)), Y: px(mid - h/2), H: px(h), Class: stateClasses[s.state],
			Title: fmt.Sprintf("%s: %s, %s to %s (%s)", line(l.member), stateNames[s.state],
				instant(s.from, a.from), instant(s.to, a.from), duration(s.to-s.from))})
	}
	return out
}

// stacked draws bars as wide as a few pixels, filled from below by the share
// of their time in each state.
func stacked(l lane, a axis, bottom float64) []share {
	const width = float64(plotWidth) / shareBars
	var paths [len(stateNames)]strings.Builder
	for i, parts := range shares(l.spans, a.from, a.to, shareBars) {
		y := bottom
		for s, part := range parts {
			if h := part * laneBar; h > 0.05 {
				y -= h
				fmt.Fprintf(&paths[s], "M%s %sh%sv%sh-%sz", px(plotLeft+float64(i)*width), px(y), px(width), px(h), px(width))
			}
		}
	}
	var out []share
	for s := range paths {
		if paths[s].Len() == 0 {
			continue
		}
		var total int64
		times := 0
		for _, sp := range l.spans {
			if int(sp.state) == s {
				total += sp.to - sp.from
				times++
			}
		}
		out = append(out, share{stateClasses[s], paths[s].String(),
			fmt.Sprintf("%s: %s, %s in all, %s", line(l.member), stateNames[s], duration(total), counted(times, "time", "times"))})
	}
	return out
}
