package verify

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

const (
	checkFaults = "faults"
	powerLoss   = "power-loss"
	failpoint   = "failpoint"
	noFault     = "none" // of a run that is only load
)

// judgeFaults says whether the run did to the members what it set out to do: a
// run that broke nothing proves nothing. It never fails; it takes the pass away.
func (c *evidence) judgeFaults() (check Check, observed int) {
	if c.eventsErr != nil {
		return Check{Name: checkFaults, Verdict: Error, Detail: "the events cannot be read: " + c.eventsErr.Error()}, 0
	}
	var d doubts
	var n struck
	ended := make(map[int]bool)
	for i := range c.events {
		e := &c.events[i]
		if e.Kind != history.EventRoundEnd {
			continue
		}
		ended[e.Round] = true
		n.rounds++
		if e.Figures == nil {
			d = append(d, fmt.Sprintf("round %d has no figures", e.Round))
			continue
		}
		n.add(c, e.Round, e.Figures)
		if why := c.lied(e.Round); why != "" {
			d = append(d, why)
		}
	}
	for i := range c.events {
		if e := &c.events[i]; e.Kind == history.EventRoundStart && !ended[e.Round] {
			d = append(d, fmt.Sprintf("round %d began and did not end", e.Round))
		}
	}
	d = append(d, n.empty(c.run.Fault)...)
	switch {
	case n.rounds == 0:
		d = append(d, "no round ended")
	case n.observed == 0 && c.run.Fault != noFault:
		d = append(d, "no fault was seen to take effect")
	case n.rounds < c.run.Rounds:
		d = append(d, fmt.Sprintf("%d of %d rounds ran", n.rounds, c.run.Rounds))
	}
	if why := c.brokeOff(); why != "" {
		d = append(doubts{why}, d...)
	}
	if c.run.Fault == noFault {
		return settle(checkFaults, &findings{}, d, "", "the run was to have no fault, and had none"), n.observed
	}
	return settle(checkFaults, &findings{}, d, "", n.detail()), n.observed
}

// struck counts a run's faults.
type struck struct {
	rounds, faults, observed, recovered int
	lost, swallowed                     int      // writes
	losses                              int      // rounds of power loss
	idle                                []string // why some of them lost nothing
	skipped                             []string
	points                              map[string]bool // failpoints, and whether they were reached
}

func (n *struck) add(c *evidence, round int, g *history.Figures) {
	for _, in := range g.Injections() {
		if in.Skipped != "" {
			if why := in.Fault + ": " + in.Skipped; !slices.Contains(n.skipped, why) {
				n.skipped = append(n.skipped, why)
			}
			continue
		}
		n.faults++
		if point := in.With["point"]; in.Fault == failpoint && point != "" {
			if n.points == nil {
				n.points = map[string]bool{}
			}
			n.points[point] = n.points[point] || in.Observed
		}
		if in.Observed {
			n.observed++
		}
		if in.Observed && in.Recovered {
			n.recovered++
		}
	}
	if !slices.ContainsFunc(g.Injections(), func(in history.Injection) bool {
		return in.Fault == powerLoss || in.Fault == "" && c.run.Fault == powerLoss
	}) {
		return
	}
	n.losses++
	if c.onMapper(round) {
		n.swallowed += g.Dropped
	} else {
		n.lost += g.Dropped + g.Torn
	}
	if why := c.lostNothing(round, g); why != "" {
		n.idle = append(n.idle, why)
	}
}

// empty are doubts of a run whose power losses proved little. Of one that is
// about power loss alone, each is to lose something. Among other faults, where a
// member may have just started or be cut off and has little to lose, most are.
func (n *struck) empty(fault string) (d doubts) {
	switch {
	case fault == powerLoss || len(n.idle) == n.losses:
		return n.idle
	case 2*len(n.idle) > n.losses:
		return append(doubts{fmt.Sprintf("%d of %d power losses lost nothing", len(n.idle), n.losses)}, n.idle...)
	}
	return nil
}

func (n *struck) detail() string {
	right := fmt.Sprintf("the fault took effect in %d of %d rounds", n.observed, n.rounds)
	if n.faults != n.rounds {
		right = fmt.Sprintf("%d of %d faults took effect, in %d rounds", n.observed, n.faults, n.rounds)
	}
	if n.lost > 0 {
		right += fmt.Sprintf(", and %d un-flushed writes were dropped or torn", n.lost)
	}
	if n.swallowed > 0 {
		right += fmt.Sprintf(", and %d writes that came to a disk after its cut were swallowed (by device mapper, which keeps what came before, flushed or not)", n.swallowed)
	}
	if len(n.idle) > 0 {
		right += fmt.Sprintf("; %d of %d power losses lost nothing", len(n.idle), n.losses)
	}
	right += n.reached()
	if len(n.skipped) > 0 {
		right += "; skipped: " + strings.Join(n.skipped, "; ")
	}
	return right
}

// reached says how many of several failpoints were, and which were not.
func (n *struck) reached() string {
	if len(n.points) < 2 {
		return ""
	}
	var not []string
	for _, p := range slices.Sorted(maps.Keys(n.points)) {
		if !n.points[p] {
			not = append(not, p)
		}
	}
	text := fmt.Sprintf("; %d of %d failpoints were reached", len(n.points)-len(not), len(n.points))
	if len(not) > 0 {
		text += ", not " + strings.Join(not, ", ")
	}
	return text
}

// lostNothing says why a round of power loss proves nothing; "" if it does.
func (c *evidence) lostNothing(round int, g *history.Figures) string {
	if g.Dropped+g.Torn > 0 {
		if !g.Observed {
			return fmt.Sprintf("round %d: the power loss was not seen to take effect", round)
		}
		return ""
	}
	keep, cuts := true, 0
	for i := range c.events {
		if e := &c.events[i]; e.Kind == history.EventCut && e.Round == round && e.Cut != nil {
			cuts++
			keep = keep && e.Cut.Policy == "keep"
		}
	}
	switch {
	case c.onMapper(round):
		return fmt.Sprintf("round %d: no write was on its way to a disk when it was cut, and device mapper keeps what came before, so only what the page cache held was lost", round)
	case cuts == 0 && !g.Observed:
		return fmt.Sprintf("round %d: it broke off before its fault", round)
	case cuts > 0 && keep:
		return fmt.Sprintf("round %d: every cut kept all writes, by its policy, so nothing could be lost", round)
	case g.Uncovered == 0:
		return fmt.Sprintf("round %d: every write was covered by a flush at the cut, so nothing could be lost", round)
	}
	return fmt.Sprintf("round %d: of %d writes that no flush covered none was dropped or torn, which proves nothing", round, g.Uncovered)
}

// mapperProfile stands where a disk of device mapper has no profile. All that is
// known of its cut is how many writes came after it, each of which was lost.
const mapperProfile = "dm"

// onMapper says whether the cuts of a round were those of device mapper.
func (c *evidence) onMapper(round int) bool {
	for i := range c.events {
		if e := &c.events[i]; e.Kind == history.EventCut && e.Round == round && e.Cut != nil && e.Cut.Profile == mapperProfile {
			return true
		}
	}
	return false
}
