package verify

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

// eras are the times at which members became others: each got an empty disk and
// joined anew, or was made, with all the others, of a snapshot. What a member's
// disk or raft must keep it must keep for one life only.
type eras struct {
	since   map[string]int64 // when each member's last life began, in nanoseconds; none is before the run
	rebuilt []rebuilding     // oldest first
	names   map[uint64]string
}

// rebuilding is a cluster that was made of a snapshot at a revision.
type rebuilding struct{ at, revision int64 }

func erasOf(run *history.Run, final *history.Final, events []history.Event) *eras {
	l := &eras{since: map[string]int64{}, names: map[uint64]string{}}
	for i := range events {
		e := &events[i]
		switch e.Kind {
		case history.EventJoined:
			l.since[e.Member] = max(l.since[e.Member], e.Time)
		case history.EventRebuilt:
			l.since[e.Member] = max(l.since[e.Member], e.Time)
			if r := (rebuilding{e.Time, e.Revision}); !slices.Contains(l.rebuilt, r) {
				l.rebuilt = append(l.rebuilt, r)
			}
		}
		if e.ID != 0 && e.Member != "" {
			l.names[e.ID] = e.Member
		}
	}
	if final != nil {
		for _, m := range final.Members {
			if m.ID != 0 {
				l.names[m.ID] = m.Name
			}
		}
	}
	for _, m := range run.Members {
		l.names[m.ID] = m.Name
	}
	return l
}

// term makes raft terms of all of the run's clusters comparable: each cluster's
// begin again at 1.
func (l *eras) term(term uint64, at int64) uint64 {
	if l == nil || term == 0 {
		return term
	}
	for i := len(l.rebuilt); i > 0; i-- {
		if at >= l.rebuilt[i-1].at {
			return term + uint64(i)<<32
		}
	}
	return term
}

// current says whether what a member did at a time was in its last life.
func (l *eras) current(member string, at int64) bool {
	return l == nil || at >= l.since[member]
}

// slower has the judge reckon with the longest election time-out that the run has
// had a member started with.
func slower(run *history.Run, events []history.Event) {
	for i := range events {
		if events[i].Figures == nil {
			continue
		}
		for _, in := range events[i].Figures.Faults {
			if in.With["flag"] != "election-timeout" {
				continue
			}
			for j := range run.Members {
				m := &run.Members[j]
				now, _ := strconv.Atoi(valueOf(m.Args, "election-timeout"))
				if was, err := strconv.Atoi(in.With["value"]); err == nil && was > max(now, int(defaultElection/1e6)) {
					m.Args = append([]string{"--election-timeout=" + in.With["value"]}, m.Args...)
					m.Args = append(m.Args, m.Args[0]) // first or last, it is the one that counts
				}
			}
		}
	}
}

func valueOf(args []string, flag string) string {
	value, _ := argument(args, flag)
	return value
}

// forgone says why the run's cluster may lack what was acknowledged: a snapshot
// it was made of is older than that; "" if none is.
func (c *evidence) forgone() string {
	if c.eras == nil || c.ops == nil {
		return ""
	}
	for _, r := range c.eras.rebuilt {
		newest := int64(0)
		for i := range c.ops.all {
			if o := &c.ops.all[i]; o.ret != 0 && o.ret < r.at {
				newest = max(newest, o.rev)
			}
		}
		if newest > r.revision {
			return fmt.Sprintf("the cluster was made anew of a snapshot at revision %d, after revision %d had been answered: what is between them nobody promised to keep", r.revision, newest)
		}
	}
	return ""
}

// membersChanged is when the run was through with changing the membership: at the
// end of the last round in which it did; 0 if it did not.
func (c *evidence) membersChanged() (at int64) {
	within := false
	for i := range c.events {
		switch e := &c.events[i]; e.Kind {
		case history.EventJoined, history.EventRebuilt, history.EventWiped:
			at, within = e.Time, true
		case history.EventRoundEnd:
			if within {
				at, within = e.Time, false
			}
		}
	}
	if within {
		return math.MaxInt64 // it broke off
	}
	return at
}

// notAsked are checks that a rebuilt cluster has no say in.
var notAsked = []string{checkFaults, checkRecovery, checkEtcd, checkDisk}

// doubt takes back the failures, and disagreements, that the making of a new
// cluster may explain: unknown is never a failure.
func (c *evidence) doubt(checks []Check) {
	why := c.forgone()
	if why == "" {
		return
	}
	for i := range checks {
		k := &checks[i]
		if (k.Verdict == Fail || k.Verdict == Error) && !slices.Contains(notAsked, k.Name) {
			k.Verdict, k.Detail = Inconclusive, strings.TrimSuffix(why+"; "+k.Detail, "; ")
		}
	}
}
