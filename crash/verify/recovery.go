package verify

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

const checkRecovery = "recovery"

// outage is what happened to a member since it last served.
type outage struct {
	from   *history.Event // the first thing that stopped it; nil: it is up
	failed string         // what was said of it not serving
}

// judgeRecovery says whether every member that stopped serves again.
func (c *evidence) judgeRecovery(dir history.Dir) Check {
	var f findings
	var d doubts
	if c.eventsErr != nil {
		return Check{Name: checkRecovery, Verdict: Error, Detail: "the events cannot be read: " + c.eventsErr.Error()}
	}
	if len(c.events) == 0 {
		d = append(d, "there are no events")
	}
	t := &teller{run: c.run}
	var took []int64
	broke := c.brokeOff()
	for i := range c.events {
		if e := &c.events[i]; e.Kind == history.EventNotServing && e.Member == "" {
			f.add(rankLost, e.Time, func() Evidence {
				return Evidence{Message: fmt.Sprintf("with every member up, the cluster took no load after round %d: %s", e.Round, e.Message), Time: e.Time}
			})
		}
	}
	for _, m := range c.cluster.members {
		down, times := c.outages(m.name)
		took = append(took, times...)
		switch {
		case broke != "" && down.failed == "" && (down.from != nil || m.final == nil || !m.final.Serving):
			// Nobody waited for it to serve: that is ours, not etcd's.
			d = append(d, m.name+" was not seen to serve at the end: "+broke)
		case down.from != nil:
			f.add(rankLost, down.from.Time, func() Evidence {
				why := down.failed
				if why == "" {
					why = "its log ends with: " + lastWords(dir.Log(m.name))
				}
				return Evidence{
					Message: fmt.Sprintf("%s never served again after the %s of round %d at %s: %s", m.name, stopped(down.from), down.from.Round, t.at(down.from.Time), why),
					Member:  m.name, Time: down.from.Time,
				}
			})
		case m.final != nil && !m.final.Serving:
			f.add(rankLost, c.final.Time, func() Evidence {
				return Evidence{Message: fmt.Sprintf("%s did not serve at the end of the run: %s", m.name, m.final.Error), Member: m.name, Time: c.final.Time}
			})
		case m.final == nil:
			d = append(d, "whether "+m.name+" served at the end is not known")
		}
	}
	right := "no member was stopped"
	if len(took) > 0 {
		slices.Sort(took)
		right = fmt.Sprintf("members served again %d times, after %v (median) and %v (longest) from the outage's begin",
			len(took), round(took[len(took)/2]), round(took[len(took)-1]))
	}
	return settle(checkRecovery, &f, d, fmt.Sprintf("%d failures to recover", f.total), right)
}

// brokeOff says why the run did not come to its end, "" if it did: what it left
// of the members is then its own doing.
func (c *evidence) brokeOff() string {
	for i := len(c.events) - 1; i >= 0; i-- {
		if e := &c.events[i]; e.Kind == history.EventRunEnd {
			if e.Message == "" {
				return ""
			}
			return "the run broke off: " + e.Message
		}
	}
	return "the run broke off without saying why"
}

func round(ns int64) time.Duration { return time.Duration(ns).Round(time.Millisecond) }

// outages follows one member through the events.
func (c *evidence) outages(member string) (now outage, took []int64) {
	for i := range c.events {
		e := &c.events[i]
		if e.Member != member {
			continue
		}
		switch e.Kind {
		case history.EventFrozen, history.EventCut, history.EventKilled, history.EventExited:
			if now.from == nil {
				now = outage{from: e}
			}
		case history.EventNotServing:
			if now.from == nil {
				now = outage{from: e}
			}
			now.failed = e.Message
		case history.EventServing:
			if now.from != nil {
				took = append(took, e.Time-now.from.Time)
			}
			now = outage{}
		}
	}
	return now, took
}

func stopped(e *history.Event) string {
	switch e.Kind {
	case history.EventFrozen:
		return "freeze"
	case history.EventCut:
		return "power cut"
	case history.EventKilled:
		return "kill"
	case history.EventExited:
		return "exit"
	}
	return "failure to serve"
}

// lastWords is the last line of a log that says something is wrong, or its last.
func lastWords(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return "there is no log"
	}
	defer file.Close()
	const much = 256 << 10
	if info, err := file.Stat(); err == nil && info.Size() > much {
		if _, err := file.Seek(-much, io.SeekEnd); err != nil {
			return "the log cannot be read"
		}
	}
	b, err := io.ReadAll(file)
	if err != nil {
		return "the log cannot be read"
	}
	last, bad := "nothing", ""
	for line := range strings.Lines(string(b)) {
		if line = clip(line); line == "" {
			continue
		}
		last = line
		for _, level := range []string{`"level":"panic"`, `"level":"fatal"`, `"level":"error"`, "panic: ", "fatal error: "} {
			if strings.Contains(line, level) {
				bad = line
			}
		}
	}
	if bad != "" {
		return bad
	}
	return last
}
