package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

// wrong is what a member's disk did wrong by the run's own doing.
type wrong struct {
	period        // from when, until the member had nothing of it any more
	lies   bool   // it lost what it had acknowledged, in use or by the end of a file
	what   string // the first of it
}

// dishonest is, by member, what the run did to its data behind etcd's back. Where
// nothing says that it was made good, it lasts.
func (c *evidence) dishonest() map[string]*wrong {
	all := make(map[string]*wrong)
	for i := range c.events {
		e := &c.events[i]
		switch {
		case e.Kind == history.EventDamaged && e.Damage != nil:
			w := all[e.Member]
			if w == nil {
				w = &wrong{period: period{from: e.Time}}
				all[e.Member] = w
			}
			w.to = 1<<63 - 1
			w.lies = w.lies || !e.Damage.AtRest || e.Damage.Kind != "flip"
			if e.Damage.Count > 0 && w.what == "" {
				w.what = e.Damage.What
			}
		case e.Kind == history.EventRepaired && all[e.Member] != nil:
			all[e.Member].to = e.Time
		}
	}
	return all
}

// wall is when an event was, on the clocks of etcd's logs.
func (c *evidence) wall(at int64) time.Time {
	start, err := time.Parse(time.RFC3339Nano, c.run.Wall)
	if err != nil {
		return time.Time{}
	}
	return start.Add(time.Duration(at - c.run.Start))
}

// wrongOf is when a member's data was wrong, or else when that of others was, on
// the clock of its log; zero is never.
func (c *evidence) wrongOf(member string) (when [2]time.Time, others bool) {
	all := c.dishonest()
	if len(all) == 0 {
		return when, false
	}
	p := period{1<<63 - 1, 0}
	for _, w := range all {
		p = period{min(p.from, w.from), max(p.to, w.to)}
	}
	own := all[member]
	if own != nil {
		p = own.period
	}
	// Clocks are a little off, and what is logged comes a little later.
	last := c.events[len(c.events)-1].Time
	return [2]time.Time{c.wall(p.from).Add(-time.Second), c.wall(min(p.to, last)).Add(time.Second)}, own == nil
}

// aboutDisks are the checks of what disks hold and of who starts from them; a
// member whose disk lied may fail them, and owes to.
var aboutDisks = []string{checkDisk, checkEtcd, checkHash, checkMembers, checkRecovery, checkDurability}

// allowFor takes from the checks what the run's own dishonest disks explain: a
// member that finds its data wrong has done what it owes. What clients were told
// is not theirs to get wrong.
func (c *evidence) allowFor(checks []Check) {
	wrongs := c.dishonest()
	if len(wrongs) == 0 {
		return
	}
	var names []string
	lies := false
	for _, m := range c.run.Members {
		if w := wrongs[m.Name]; w != nil {
			said := "the disk of " + m.Name + " was dishonest"
			if w.what != "" {
				said += " (" + w.what + ")"
			}
			names = append(names, said)
			lies = lies || w.lies
		}
	}
	why := strings.Join(names, "; ")
	for i := range checks {
		x := &checks[i]
		if x.Verdict != Fail {
			continue
		}
		switch {
		case !slices.Contains(aboutDisks, x.Name):
			x.Detail += fmt.Sprintf("; %s, and clients were told what is not so", why)
		case x.Name == checkDurability && lies, x.Name != checkDurability && ofThese(x, wrongs):
			x.Verdict, x.Detail = Inconclusive, fmt.Sprintf("%s, by this run's doing, which is not etcd's fault: %s", why, x.Detail)
		}
	}
}

// ofThese says whether everything that a check found is about members whose disks
// were dishonest. Where members are compared, the other one may be named.
func ofThese(x *Check, wrongs map[string]*wrong) bool {
	compares := x.Name == checkHash || x.Name == checkMembers
	return !slices.ContainsFunc(x.Evidence, func(e Evidence) bool {
		for name := range wrongs {
			if e.Member == name || compares && strings.Contains(e.Message, name) {
				return false
			}
		}
		return true
	})
}

// lied says why a loss of power was no honest one; "" if it was.
func (c *evidence) lied(round int) string {
	for i := range c.events {
		if e := &c.events[i]; e.Kind == history.EventCut && e.Round == round && e.Cut != nil && e.Cut.Lied > 0 {
			return fmt.Sprintf("round %d: the disk of %s had not done %d operations as it acknowledged them when its power was cut: no honest power loss", round, e.Member, e.Cut.Lied)
		}
	}
	return ""
}
