package verify

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

const (
	// settleFor is how long clients may need after a member serves again, in
	// nanoseconds: their connections back off for seconds.
	settleFor = int64(5e9)
	// defaultElection is etcd's election timeout without the flag.
	defaultElection = int64(1e9)
)

// period is a time in which a member need not serve, in nanoseconds.
type period struct{ from, to int64 }

// excuses are, by member, when what the run did to it or to another explains
// that it did not serve: from the fault on until it was seen to serve again. The
// others may need an election in between.
func (c *evidence) excuses() map[string][]period {
	type open struct {
		from int64
		held bool // not even the round's end closes it
	}
	out := make(map[string][]period)
	now := make(map[string]*open)
	begin := func(name string, at int64) {
		if now[name] == nil {
			now[name] = &open{from: at}
		}
	}
	end := func(name string, at int64) {
		if now[name] != nil {
			out[name] = append(out[name], period{now[name].from, at + settleFor})
			delete(now, name)
		}
	}
	election := c.election()
	for i := range c.events {
		e := &c.events[i]
		switch e.Kind {
		case history.EventFault, history.EventHeld, history.EventFrozen, history.EventLinkDown, history.EventCut,
			history.EventKilled, history.EventExited, history.EventNotServing:
			if strings.HasPrefix(e.Message, "disk profile") {
				continue // says what kind of disk it is from then on
			}
			for _, m := range c.run.Members {
				if e.Member == "" || e.Member == m.Name {
					begin(m.Name, e.Time)
					now[m.Name].held = now[m.Name].held || e.Kind == history.EventNotServing
					continue
				}
				out[m.Name] = append(out[m.Name], period{e.Time, e.Time + 5*election + settleFor})
			}
		case history.EventServing:
			end(e.Member, e.Time)
		case history.EventRoundEnd:
			for _, m := range c.run.Members {
				if x := now[m.Name]; x != nil && !x.held {
					end(m.Name, e.Time)
				}
			}
		}
	}
	for name, x := range now {
		out[name] = append(out[name], period{x.from, math.MaxInt64})
	}
	for name := range out {
		out[name] = merged(out[name])
	}
	return out
}

// merged joins periods that touch.
func merged(list []period) (out []period) {
	slices.SortFunc(list, func(a, b period) int { return cmp.Compare(a.from, b.from) })
	for _, p := range list {
		if n := len(out); n > 0 && p.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, p.to)
			continue
		}
		out = append(out, p)
	}
	return out
}

// without is what excuses leave of a period.
func (p period) without(excuses []period) (out []period) {
	for _, x := range excuses {
		if x.to <= p.from || x.from >= p.to {
			continue
		}
		if x.from > p.from {
			out = append(out, period{p.from, x.from})
		}
		p.from = max(p.from, x.to)
	}
	if p.from < p.to {
		out = append(out, p)
	}
	return out
}

// crippled are the periods in which so many members are excused that the others
// are no quorum.
func (c *evidence) crippled(excuses map[string][]period) []period {
	type edge struct {
		at   int64
		step int
	}
	var edges []edge
	for _, list := range excuses {
		for _, p := range list {
			edges = append(edges, edge{p.from, 1}, edge{p.to, -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), b.step-a.step) })
	n, down, from := len(c.run.Members), 0, int64(0)
	var out []period
	for _, e := range edges {
		was := n-down >= quorum(n)
		down += e.step
		switch is := n-down >= quorum(n); {
		case was && !is:
			from = e.at
		case !was && is:
			out = append(out, period{from, e.at})
		}
	}
	return merged(out)
}

// election is the longest election timeout of the members, in nanoseconds.
func (c *evidence) election() int64 {
	longest := defaultElection
	for i := range c.run.Members {
		if value, ok := argument(c.run.Members[i].Args, "election-timeout"); ok {
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				longest = max(longest, n*1e6)
			}
		}
	}
	return longest
}

// argument is the value of a flag in etcd's command line.
func argument(args []string, flag string) (value string, ok bool) {
	for i, arg := range args {
		name, v, joined := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if name != flag {
			continue
		}
		if !joined && i+1 < len(args) {
			v = args[i+1]
		}
		value, ok = v, true
	}
	return value, ok
}
