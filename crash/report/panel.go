package report

import (
	"fmt"
	"math"
	"strings"
)

// panel is one chart of operations a second under the lanes.
type panel struct {
	TextY, From, To string
	Area, Second    string // paths; Second is stacked on Area
	Rules           []rule
	Empty           bool
	Largest         float64
}

type rule struct{ Y, TextY, Label string }

// panelOf draws the counts as steps, a bucket's height being its rate.
func panelOf(l Load, a axis, y, height float64, failed bool) panel {
	base := y + height
	p := panel{TextY: px(y - 8), From: px(plotLeft), To: px(plotRight)}
	perSecond := 1e9 / float64(max(l.Width, 1))
	for _, c := range l.Counts {
		n := c.OK
		if failed {
			n = c.Unknown + c.Failed
		}
		p.Largest = max(p.Largest, float64(n)*perSecond)
	}
	if p.Largest == 0 {
		p.Empty = true
		p.Rules = []rule{{px(base), px(base + 4), "0"}}
		return p
	}
	divisions := 4.0
	if failed {
		divisions = 2
	}
	step := niceNumber(p.Largest / divisions)
	n := math.Ceil(p.Largest/step - 1e-9)
	top := step * n
	for i := 0.0; i <= n; i++ {
		at := base - height*i/n
		p.Rules = append(p.Rules, rule{px(at), px(at + 4), compact(step * i)})
	}
	scale := height / top * perSecond
	if !failed {
		p.Area = steps(l, a, base, func(c Counts) (float64, float64) { return 0, float64(c.OK) * scale })
		return p
	}
	p.Area = steps(l, a, base, func(c Counts) (float64, float64) { return 0, float64(c.Unknown) * scale })
	p.Second = steps(l, a, base, func(c Counts) (float64, float64) {
		low := float64(c.Unknown) * scale
		return low, low + float64(c.Failed)*scale
	})
	return p
}

// steps outlines the buckets between what height gives, above base; runs of
// nothing are left out.
func steps(l Load, a axis, base float64, height func(Counts) (low, high float64)) string {
	var b strings.Builder
	var back []string
	end := func() {
		for i := len(back) - 1; i >= 0; i-- {
			b.WriteString(back[i])
		}
		if len(back) > 0 {
			b.WriteString("Z")
		}
		back = back[:0]
	}
	for i, c := range l.Counts {
		low, high := height(c)
		if high <= low {
			end()
			continue
		}
		x0, x1 := bucketEdges(l, a, i)
		move := "L"
		if len(back) == 0 {
			move = "M"
		}
		fmt.Fprintf(&b, "%s%s %sH%s", move, px(x0), px(base-high), px(x1))
		back = append(back, fmt.Sprintf("L%s %sH%s", px(x1), px(base-low), px(x0)))
	}
	end()
	return b.String()
}

func bucketEdges(l Load, a axis, i int) (from, to float64) {
	start := l.Start + int64(i)*l.Width
	return a.x(start), a.x(start + l.Width)
}

// hover gives every bucket that is not empty a place to point at.
func hover(l Load, a axis, y, height float64) []box {
	var out []box
	for i, c := range l.Counts {
		if c == (Counts{}) {
			continue
		}
		x0, x1 := bucketEdges(l, a, i)
		perSecond := 1e9 / float64(l.Width)
		title := fmt.Sprintf("%s: %s acknowledged/s", instant(l.Start+int64(i)*l.Width, a.from), rate(float64(c.OK)*perSecond))
		if c.Unknown > 0 {
			title += fmt.Sprintf(", %d unanswered", c.Unknown)
		}
		if c.Failed > 0 {
			title += fmt.Sprintf(", %d refused", c.Failed)
		}
		out = append(out, box{X: px(x0), Y: px(y), W: px(max(x1-x0, 0.5)), H: px(height), Title: title})
	}
	return out
}

// compact is a label of few characters: 12k for 12,000.
func compact(v float64) string {
	switch {
	case v >= 1e6:
		return px(v/1e6) + "M"
	case v >= 1e4:
		return px(v/1e3) + "k"
	case v >= 100:
		return rate(v)
	}
	return px(v)
}
