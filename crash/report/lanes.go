package report

import (
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
)

// state is what a member is doing.
type state uint8

const (
	up state = iota
	held
	frozen
	starting
	mounting
	down
	missing
)

var stateNames = [...]string{"serving", "flushes held back", "frozen", "etcd starting", "disk recovering", "down", "not serving"}
var stateClasses = [...]string{"up", "held", "frozen", "starting", "mounting", "down", "missing"}

// span is a time in which a member stayed in one state.
type span struct {
	state    state
	from, to int64
}

// lane is one member's life during the run.
type lane struct {
	member string
	spans  []span
}

// next gives the state that an event leaves a member in.
func next(now state, e *history.Event) state {
	switch e.Kind {
	case history.EventHeld:
		if now == up {
			return held
		}
	case history.EventFrozen:
		// Seen again after the cut, it stays down.
		if now < frozen {
			return frozen
		}
	case history.EventHealed:
		if now == held || now == frozen {
			return up
		}
	case history.EventCut, history.EventKilled, history.EventExited:
		return down
	case history.EventRestored, history.EventMounted:
		return mounting
	case history.EventStarted:
		return starting
	case history.EventServing:
		return up
	case history.EventNotServing:
		return missing
	}
	return now
}

// begun is when the state that an event leads to began: steps that take time
// are noted at their end.
func begun(e *history.Event) int64 {
	switch e.Kind {
	case history.EventHeld, history.EventFrozen, history.EventRestored, history.EventMounted, history.EventStarted:
		return e.Time - e.Duration
	}
	return e.Time
}

// lanes replays the events of each member from t0, where all serve, to t1.
// Members that only the events know come after the run's own.
func lanes(members []history.Member, events []history.Event, t0, t1 int64) []lane {
	var out []lane
	for _, m := range members {
		out = append(out, lane{m.Name, []span{{state: up, from: t0}}})
	}
	for i := range events {
		e := &events[i]
		if e.Member == "" {
			continue
		}
		j := slices.IndexFunc(out, func(l lane) bool { return l.member == e.Member })
		if j < 0 {
			j = len(out)
			out = append(out, lane{e.Member, []span{{state: up, from: t0}}})
		}
		last := &out[j].spans[len(out[j].spans)-1]
		if to := next(last.state, e); to != last.state {
			last.to = max(begun(e), last.from)
			out[j].spans = append(out[j].spans, span{state: to, from: last.to})
		}
	}
	for _, l := range out {
		l.spans[len(l.spans)-1].to = t1
	}
	return out
}

// shares tells, for each of n equal parts of the time from t0 to t1, how much
// of it a lane spent in each state. It is how a lane with more spans than
// pixels is shown: truthfully, and in bounded space.
func shares(spans []span, t0, t1 int64, n int) [][len(stateNames)]float64 {
	out := make([][len(stateNames)]float64, n)
	width := float64(t1-t0) / float64(n)
	for _, s := range spans {
		from, to := float64(s.from-t0)/width, float64(s.to-t0)/width
		for i := max(int(from), 0); i < n && float64(i) < to; i++ {
			part := min(to, float64(i+1)) - max(from, float64(i))
			out[i][s.state] += max(part, 0)
		}
	}
	return out
}
