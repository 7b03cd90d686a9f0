package hunt

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/bits"
	"os"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

// Coverage is the ground that a hunt has reached: features, each with the round
// that was first.
type Coverage map[string]int

// Add gives how many of a round's features are new.
func (c Coverage) Add(round int, features []string) (fresh int) {
	for _, f := range features {
		if _, seen := c[f]; !seen {
			c[f] = round
			fresh++
		}
	}
	return fresh
}

// FeaturesOf is what a run reached: faults that took effect, what the cuts did to
// the disks, what the members said in their logs, and what each check looked at.
func FeaturesOf(dir string, v *verify.Verdict) []string {
	set := map[string]bool{}
	add := func(format string, args ...any) { set[fmt.Sprintf(format, args...)] = true }
	d := history.Dir(dir)
	events, _ := history.ReadEvents(dir)
	for _, e := range events {
		if c := e.Cut; c != nil {
			add("cut %s %s: uncovered 2^%d, dropped %v, torn %v, held %v", c.Profile, c.Policy, bits.Len(uint(c.Uncovered)), c.Dropped > 0, c.Torn > 0, c.Held > 0)
		}
		if e.Figures == nil {
			continue
		}
		for _, in := range e.Figures.Injections() {
			add("fault %s: observed %v, recovered %v, %s", in.Fault, in.Observed, in.Recovered, abstract(in.Message))
			if point := in.With["point"]; point != "" && in.Observed {
				add("failpoint %s on %d", point, len(in.Targets))
			}
		}
	}
	for _, c := range v.Checks {
		add("check %s: %s, %s", c.Name, c.Verdict, abstract(c.Detail))
	}
	for _, s := range ShapesOf(v) {
		add("finding %s", s)
	}
	run, err := history.ReadRun(dir)
	if err == nil {
		for _, m := range run.Members {
			logShapes(d.Log(m.Name), func(s string) { set["log "+s] = true })
		}
	}
	features := make([]string, 0, len(set))
	for f := range set {
		features = append(features, f)
	}
	return features
}

// maxLog is how much of a member's log is looked at: a panic loop can write a lot.
const maxLog = 8 << 20

// logShapes tells the kinds of lines in a log: who says what, not of what.
func logShapes(path string, tell func(string)) {
	f, err := os.Open(path)
	if err != nil {
		return // the judge says what is missing
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	for n := 0; lines.Scan() && n < maxLog; n += len(lines.Bytes()) {
		var line struct{ Level, Caller, Msg string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg != "" {
			tell(line.Level + " " + line.Caller + " " + abstract(line.Msg))
		} else if text := lines.Text(); strings.HasPrefix(text, "panic:") || strings.HasPrefix(text, "fatal error:") {
			tell(abstract(text))
		}
	}
}
