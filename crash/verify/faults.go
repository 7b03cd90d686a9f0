package verify

import (
	"fmt"

	"github.com/etcdlab/etcdlab/crash/history"
)

const (
	checkFaults = "faults"
	powerLoss   = "power-loss"
	noFault     = "none" // of a run that is only load
)

// judgeFaults says whether the run did to the members what it set out to do: a
// run that broke nothing proves nothing. It never fails; it takes the pass away.
func (c *evidence) judgeFaults() (check Check, observed int) {
	if c.eventsErr != nil {
		return Check{Name: checkFaults, Verdict: Error, Detail: "the events cannot be read: " + c.eventsErr.Error()}, 0
	}
	var d doubts
	rounds, lost, swallowed := 0, 0, 0
	ended := make(map[int]bool)
	for i := range c.events {
		e := &c.events[i]
		if e.Kind != history.EventRoundEnd {
			continue
		}
		ended[e.Round] = true
		rounds++
		g := e.Figures
		if g == nil {
			d = append(d, fmt.Sprintf("round %d has no figures", e.Round))
			continue
		}
		if g.Observed {
			observed++
		}
		if g.Fault == powerLoss || g.Fault == "" && c.run.Fault == powerLoss {
			if c.onMapper(e.Round) {
				swallowed += g.Dropped
			} else {
				lost += g.Dropped + g.Torn
			}
			if why := c.lostNothing(e.Round, g); why != "" {
				d = append(d, why)
			}
		}
	}
	for i := range c.events {
		if e := &c.events[i]; e.Kind == history.EventRoundStart && !ended[e.Round] {
			d = append(d, fmt.Sprintf("round %d began and did not end", e.Round))
		}
	}
	switch {
	case rounds == 0:
		d = append(d, "no round ended")
	case observed == 0 && c.run.Fault != noFault:
		d = append(d, "no fault was seen to take effect")
	case rounds < c.run.Rounds:
		d = append(d, fmt.Sprintf("%d of %d rounds ran", rounds, c.run.Rounds))
	}
	if why := c.brokeOff(); why != "" {
		d = append(doubts{why}, d...)
	}
	if c.run.Fault == noFault {
		return settle(checkFaults, &findings{}, d, "", "the run was to have no fault, and had none"), observed
	}
	right := fmt.Sprintf("the fault took effect in %d of %d rounds", observed, rounds)
	if lost > 0 {
		right += fmt.Sprintf(", and %d un-flushed writes were dropped or torn", lost)
	}
	if swallowed > 0 {
		right += fmt.Sprintf(", and %d writes that came to a disk after its cut were swallowed (by device mapper, which keeps what came before, flushed or not)", swallowed)
	}
	return settle(checkFaults, &findings{}, d, "", right), observed
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
