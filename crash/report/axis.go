package report

import (
	"fmt"
	"math"
	"strconv"
)

// Sizes of the timeline in its own pixels; the page scales it as a whole.
const (
	plotLeft   = 84 // room for members' names
	plotWidth  = 1100
	plotRight  = plotLeft + plotWidth
	chartWidth = plotRight + 30
)

// axis maps the run's time to pixels.
type axis struct{ from, to int64 }

// x is the pixel of an instant; what lies outside is drawn at the edge.
func (a axis) x(t int64) float64 {
	at := float64(t-a.from) / float64(max(a.to-a.from, 1))
	return plotLeft + plotWidth*min(max(at, 0), 1)
}

type tick struct {
	At    string // pixel
	Label string
}

// ticks are at most twelve round instants since the start.
func (a axis) ticks() []tick {
	step := niceTime(float64(a.to-a.from) / 1e9 / 11)
	var out []tick
	for i := 0; ; i++ {
		s := step * float64(i)
		t := a.from + int64(math.Round(s*1e9))
		if t > a.to {
			return out
		}
		out = append(out, tick{px(a.x(t)), clockLabel(s, step)})
	}
}

// niceTime is the smallest step that people count time in, of at least s
// seconds.
func niceTime(s float64) float64 {
	if s <= 10 {
		return niceNumber(s)
	}
	for _, step := range []float64{10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200} {
		if step >= s {
			return step
		}
	}
	return 86400 * niceNumber(s/86400)
}

// niceNumber is the smallest of 1, 2 and 5 times a power of ten that is at
// least v.
func niceNumber(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(max(v, 1e-3))))
	for _, f := range []float64{1, 2, 5} {
		// The tolerance keeps 0.2 from becoming 0.5 for a rounding error.
		if f*power >= v*(1-1e-9) {
			return f * power
		}
	}
	return 10 * power
}

func clockLabel(s, step float64) string {
	n := int64(math.Round(s))
	switch {
	case step >= 3600:
		return fmt.Sprintf("%d h", n/3600)
	case step >= 60 && s >= 3600:
		return fmt.Sprintf("%d:%02d h", n/3600, n%3600/60)
	case step >= 15 && s >= 60:
		return fmt.Sprintf("%d:%02d min", n/60, n%60)
	}
	return strconv.FormatFloat(s, 'f', -1, 32) + " s"
}

// px writes a coordinate to a tenth of a pixel.
func px(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}
