package report

import (
	"fmt"
	"slices"
)

// Heights of the timeline's rows, in its pixels.
const (
	bandTop    = 20 // below the rounds' numbers
	signHeight = 24 // the row of faults and findings
	laneHeight = 30
	laneBar    = 14
	panelGap   = 28
	loadHeight = 112
	failHeight = 48
	axisHeight = 26
)

// timeline is what the template draws: coordinates and words, no decisions.
type timeline struct {
	Width, Left, Top, Bottom, Height string
	TickY, SignY, SignLabel          string
	Bands                            []band
	Ticks                            []tick
	Signs                            []mark
	Lanes                            []row
	Load, Fail                       panel
	Hover                            []box
	Bucket                           string
	Dense                            bool // some lane is shown as shares of time
	Unknown, Failed                  bool
	Legend                           []legend
}

type band struct {
	X, W, Mid, Label, Title string
	Odd                     bool
}

type mark struct{ X, Y, Class, Shape, Title string }

type box struct{ X, Y, W, H, Class, Title string }

func newTimeline(d Data) *timeline {
	a := extent(d)
	t := &timeline{Width: px(chartWidth), Left: px(plotLeft), Top: px(bandTop), Ticks: a.ticks()}
	t.Bands = bands(rounds(d.Events), a)
	y := float64(bandTop)
	if t.Signs = signs(d, a, y+signHeight/2); len(t.Signs) > 0 {
		t.SignY, t.SignLabel = px(y+signHeight/2+4), "faults"
		if !slices.ContainsFunc(t.Signs, func(m mark) bool { return m.Class != "finding" }) {
			t.SignLabel = "evidence"
		}
		y += signHeight
	}
	for _, l := range lanes(d.Run.Members, d.Events, a.from, a.to) {
		t.Lanes = append(t.Lanes, newRow(l, d.Events, a, y))
		t.Dense = t.Dense || dense(l)
		y += laneHeight
	}
	y += panelGap
	t.Bucket = duration(max(d.Load.Width, firstBucket))
	t.Load = panelOf(d.Load, a, y, loadHeight, false)
	t.Hover = hover(d.Load, a, y, loadHeight+panelGap+failHeight)
	y += loadHeight + panelGap
	t.Fail = panelOf(d.Load, a, y, failHeight, true)
	y += failHeight
	t.Bottom, t.TickY, t.Height = px(y), px(y+16), px(y+axisHeight)
	t.Unknown, t.Failed = d.Load.Unknown > 0, d.Load.Failed > 0
	t.Legend = t.legend()
	return t
}

// extent is the time that the evidence spans: what is there, not what was
// meant to be.
func extent(d Data) axis {
	a := axis{from: d.Load.Start, to: d.Load.End}
	if d.Run.Start != 0 {
		a.from = d.Run.Start
	}
	for _, e := range d.Events {
		if a.from == 0 {
			a.from = e.Time
		}
		a.to = max(a.to, e.Time)
	}
	a.to = max(a.to, a.from+1e6)
	return a
}

// bands number the rounds; where they are too narrow for a number, several
// share a band.
func bands(all []*round, a axis) []band {
	if len(all) == 0 {
		return nil
	}
	const room = 26.0 // pixels that a label takes
	each := (a.x(all[len(all)-1].End) - a.x(all[0].Start)) / float64(len(all))
	size := 1
	for _, n := range []int{2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000} {
		if each*float64(size) >= room {
			break
		}
		size = n
	}
	var out []band
	free := 0.0 // where the next number may begin
	for i := 0; i < len(all); i += size {
		first, last := all[i], all[min(i+size, len(all))-1]
		x0, x1 := a.x(first.Start), a.x(last.End)
		b := band{X: px(x0), W: px(max(x1-x0, 1)), Mid: px((x0 + x1) / 2), Odd: i/size%2 == 0}
		if mid := (x0 + x1) / 2; mid >= free {
			b.Label, free = fmt.Sprint(first.N), mid+room
		}
		b.Title = fmt.Sprintf("round %d", first.N)
		if last != first {
			b.Title = fmt.Sprintf("rounds %d to %d", first.N, last.N)
		}
		b.Title += fmt.Sprintf(": %s to %s", instant(first.Start, a.from), instant(last.End, a.from))
		out = append(out, b)
	}
	return out
}
