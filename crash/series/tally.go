package series

import (
	"time"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/history"
)

// account is what a run's events tell of it.
type account struct {
	tally crash.Tally
	// whole says that no member was seen not to serve again.
	whole bool
	// lasted is the time that they span.
	lasted time.Duration
}

// accountOf reads the events of a run. What is damaged in them the judge tells.
func accountOf(dir string) account {
	events, _ := history.ReadEvents(dir)
	a := account{whole: true}
	var rounds []history.Figures
	var first, last int64
	for i, e := range events {
		if i == 0 {
			first, last = e.Time, e.Time
		}
		first, last = min(first, e.Time), max(last, e.Time)
		switch {
		case e.Kind == history.EventNotServing:
			a.whole = false
		case e.Kind == history.EventRoundEnd && e.Figures != nil:
			rounds = append(rounds, *e.Figures)
		}
	}
	a.lasted = time.Duration(last - first)
	a.tally = crash.TallyOf(rounds, a.lasted)
	return a
}

// add puts a leg's faults to those of others, all over so much time.
func add(sum crash.Tally, leg *crash.Tally, played time.Duration) crash.Tally {
	if sum.Groups == nil {
		sum.Groups = map[fault.Group]int{}
	}
	if leg != nil {
		sum.Faults += leg.Faults
		sum.Verified += leg.Verified
		for group, n := range leg.Groups {
			sum.Groups[group] += n
		}
	}
	if sum.Seconds = played.Seconds(); sum.Seconds > 0 {
		sum.PerSecond = float64(sum.Verified) / sum.Seconds
		sum.PerDay = int(sum.PerSecond * 86400)
	}
	return sum
}
