package hunt

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// targets by how many members there are.
var (
	alone    = []string{schedule.All}
	together = []string{schedule.All, schedule.Leader, schedule.Follower, schedule.Followers, schedule.Minority, schedule.Quorum, schedule.Random}
)

func drawSteps(sp *Space, r *rand.Rand, members int) (steps []spec.Step) {
	if len(sp.kinds()) == 0 || chance(r, .2) {
		return schedule.One(fault.NameNone, "", nil)
	}
	for range pick(r, 1, 1, 1, 1, 2) {
		one := func() spec.Step { return drawStep(sp, r, members) }
		switch {
		case chance(r, .15):
			second := one()
			second.After = millis(r, 0, 50, 300)
			steps = append(steps, spec.Step{Parallel: []spec.Step{one(), second}})
		case chance(r, .1):
			first := one()
			first.NoWait = chance(r, .5)
			steps = append(steps, spec.Step{Sequence: []spec.Step{first, one()}})
		default:
			steps = append(steps, one())
		}
	}
	return steps
}

// drawStep draws one fault: first of which group, so that a group of many faults
// is not drawn more often.
func drawStep(sp *Space, r *rand.Rand, members int) spec.Step {
	groups := map[fault.Group][]fault.Kind{}
	for _, k := range sp.kinds() {
		if members >= k.Members {
			groups[k.Group] = append(groups[k.Group], k)
		}
	}
	names := slices.Sorted(maps.Keys(groups))
	if len(names) == 0 {
		return spec.Step{Fault: fault.NameNone}
	}
	kinds := groups[pick(r, names...)]
	k := kinds[r.IntN(len(kinds))]
	s := spec.Step{Fault: k.Name, Target: pick(r, alone...), Optional: true}
	if members > 1 {
		s.Target = pick(r, together...)
	}
	if lasts := millis(r, 100, 300, 1000, 2000); chance(r, .4) {
		s.For = lasts
	}
	if members > 1 && chance(r, .1) {
		s.Until = schedule.UntilSnapshot
	}
	s.With = drawWith(sp, r, &k)
	return s
}

// drawWith draws parameters until they go together; a fault that needs some that
// cannot be drawn is left with its defaults.
func drawWith(sp *Space, r *rand.Rand, k *fault.Kind) map[string]string {
	for range 20 {
		with := map[string]string{}
		for _, p := range k.Params {
			value, ok := drawParam(sp, r, &p)
			if ok && p.Type.Check(value) == nil {
				with[p.Name] = value
			}
		}
		if len(with) == 0 {
			with = nil
		}
		if _, err := k.Make(with); err == nil {
			return with
		}
	}
	return nil
}

// patience is the longest that a drawn fault may last or wait.
const patience = time.Second

func drawParam(sp *Space, r *rand.Rand, p *fault.Param) (string, bool) {
	say := chance(r, .4)
	switch p.Type.Name {
	case "word":
		return pick(r, p.Type.Words...), len(p.Type.Words) > 0 && say
	case "duration":
		d, err := time.ParseDuration(p.Default)
		return millis(r, 50, 200, 500, 1000).String(), say || err != nil || d > patience
	case "count":
		return fmt.Sprint(pick(r, 1, 2, 3, 5, 20)), say
	case "percent":
		return pick(r, "5%", "20%", "50%", "100%"), say
	case "size":
		return pick(r, "512", "4KiB", "64KiB", "1MiB"), say
	}
	switch p.Name { // texts have a grammar of their own
	case "point":
		if len(sp.Points) == 0 {
			return "", false
		}
		return pick(r, sp.Points...), true
	case "io":
		io := pick(r, "read", "write", "flush")
		if chance(r, .5) {
			io += fmt.Sprintf(",nth=%d", pick(r, 2, 5, 20))
		}
		return io + fmt.Sprintf(",count=%d", pick(r, 1, 1, 3)), true
	}
	return "", false
}
