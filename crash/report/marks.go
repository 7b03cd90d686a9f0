package report

import (
	"fmt"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

// shapes are marks around their own origin, told apart without their colours.
var shapes = map[string]string{
	"cut":     "M-5 -6H5L0 3Z",
	"exited":  "M-4 -4L4 4M4 -4L-4 4",
	"killed":  "M-4 -4H4V4H-4Z",
	"fault":   "M0 -5.5L5.5 0L0 5.5L-5.5 0Z",
	"healed":  "M0 -4.5A4.5 4.5 0 1 1 0 4.5A4.5 4.5 0 1 1 0 -4.5Z",
	"finding": "M-6 5H6L0 -6Z",
}

const slim = "M-1 -4H1V4H-1Z"

// marks collects signs of a row; those of one class that would cover each
// other become one with a title for all.
type marks struct {
	all []*gathered
}

type gathered struct {
	x, y   float64
	class  string
	titles []string
	more   int
}

const (
	markRoom  = 7.0 // pixels between two marks that can be told apart
	mostLines = 3   // of a title
	// mostShapes of one class stay apart in a row; more become thin strokes.
	mostShapes = 50
)

func (m *marks) add(a axis, t int64, y float64, class, title string) {
	x := a.x(t)
	for i := len(m.all) - 1; i >= 0; i-- {
		g := m.all[i]
		if g.class != class || x-g.x >= markRoom || g.x-x >= markRoom {
			continue
		}
		if len(g.titles) < mostLines {
			g.titles = append(g.titles, title)
		} else {
			g.more++
		}
		return
	}
	m.all = append(m.all, &gathered{x: x, y: y, class: class, titles: []string{title}})
}

func (m *marks) list() []mark {
	count := map[string]int{}
	for _, g := range m.all {
		count[g.class]++
	}
	var out []mark
	for _, g := range m.all {
		title := strings.Join(g.titles, "\n")
		if g.more > 0 {
			title += fmt.Sprintf("\nand %d more", g.more)
		}
		shape := shapes[g.class]
		if count[g.class] > mostShapes {
			shape = slim
		}
		out = append(out, mark{px(g.x), px(g.y), g.class, shape, title})
	}
	return out
}

func cutTitle(e *history.Event, start int64) string {
	title := fmt.Sprintf("power cut, %s, %s", line(e.Member), instant(e.Time, start))
	if e.Round > 0 {
		title += fmt.Sprintf(", round %d", e.Round)
	}
	if c := e.Cut; c != nil {
		title += fmt.Sprintf(": %s of %d un-flushed writes, %d dropped, %d torn, %d kept",
			line(c.Policy), c.Uncovered, c.Dropped, c.Torn, c.Kept)
	}
	return title
}

func eventTitle(e *history.Event, what string, start int64) string {
	title := fmt.Sprintf("%s, %s", what, instant(e.Time, start))
	if e.Member != "" {
		title += ", " + line(e.Member)
	}
	if e.Round > 0 {
		title += fmt.Sprintf(", round %d", e.Round)
	}
	if e.Message != "" {
		title += ": " + line(e.Message)
	}
	return title
}

// short cuts a name to n characters.
func short(s string, n int) string {
	r := []rune(line(s))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}

// memberMarks are the cuts, kills and exits of one member; the kill that only
// completes a cut is none.
func memberMarks(member string, events []history.Event, a axis, y float64) []mark {
	var m marks
	cutIn := -1
	for i := range events {
		e := &events[i]
		if e.Member != member {
			continue
		}
		switch e.Kind {
		case history.EventCut:
			cutIn = e.Round
			m.add(a, e.Time, y, "cut", cutTitle(e, a.from))
		case history.EventKilled:
			if cutIn != e.Round {
				m.add(a, e.Time, y+8, "killed", eventTitle(e, "SIGKILL", a.from))
			}
		case history.EventExited:
			m.add(a, e.Time, y+8, "exited", eventTitle(e, "etcd ended by itself", a.from))
		}
	}
	return m.list()
}

// signs are the faults, what became of them, and where findings point to.
func signs(d Data, a axis, y float64) []mark {
	var m marks
	for i := range d.Events {
		e := &d.Events[i]
		switch {
		case e.Kind == history.EventFault:
			m.add(a, e.Time, y, "fault", eventTitle(e, "fault", a.from))
		case e.Kind == history.EventHealed:
			m.add(a, e.Time, y, "healed", eventTitle(e, "healed", a.from))
		}
	}
	for _, c := range d.Verdict.Checks {
		if c.Verdict == verify.Pass {
			continue
		}
		for _, e := range c.Evidence {
			if e.Time != 0 {
				m.add(a, e.Time, y, "finding", fmt.Sprintf("%s at %s: %s", line(c.Name), instant(e.Time, a.from), line(e.Message)))
			}
		}
	}
	return m.list()
}
