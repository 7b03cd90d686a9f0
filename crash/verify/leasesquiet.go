package verify

import (
	"cmp"
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
)

const (
	// servesEvery is how long a cluster that serves may leave every client
	// without a linearizable answer; what is longer counts as an outage.
	servesEvery = 2 * second
	// settles is how long an election or a fault may go before what tells of it,
	// and how long it may go on after it.
	settles = 3 * second
	// staleFor is for how long before a keep-alive no fault may have been healed:
	// who was frozen may still believe that it leads.
	staleFor = 10 * second

	second = int64(1_000_000_000)
)

// quiet knows when the cluster was not left alone: leases are extended by new
// leaders, and do not end while nobody can be asked to end them.
type quiet struct{ loud []span } // times, in order and apart

func (c *evidence) newQuiet(t *timeline) *quiet {
	q := &quiet{}
	q.events(c.events)
	q.outages(c.ops)
	for _, s := range t.terms {
		q.add(s.first-settles, s.first+settles)
	}
	slices.SortFunc(q.loud, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	n := 0
	for _, s := range q.loud {
		if n > 0 && s.from <= q.loud[n-1].to {
			q.loud[n-1].to = max(q.loud[n-1].to, s.to)
			continue
		}
		q.loud[n] = s
		n++
	}
	q.loud = q.loud[:n]
	return q
}

func (q *quiet) add(from, to int64) { q.loud = append(q.loud, span{from, to}) }

// events makes a round loud from its first fault to its last sign of recovery.
func (q *quiet) events(events []history.Event) {
	const never = int64(1<<62 - 1)
	rounds := make(map[int]*span)
	for i := range events {
		e := &events[i]
		switch e.Kind {
		case history.EventRunStart, history.EventRunEnd, history.EventRoundStart:
			continue
		}
		s := rounds[e.Round]
		if e.Round == 0 {
			// Outside of rounds there is no order to hold on to: what is broken
			// stays so, and what starts is loud for a moment.
			s = nil
		}
		breaks, mends := false, false
		switch e.Kind {
		case history.EventFault, history.EventHeld, history.EventFrozen, history.EventLinkDown, history.EventCut, history.EventKilled,
			history.EventExited, history.EventNotServing:
			breaks = true
		case history.EventHealed, history.EventLinkUp, history.EventServing, history.EventRoundEnd:
			mends = true
		}
		switch {
		case s == nil && breaks:
			rounds[e.Round] = &span{e.Time - settles, never}
			if e.Round == 0 {
				q.add(e.Time-settles, q.mended(events[i:]))
			}
		case s == nil:
			q.add(e.Time-settles, e.Time+settles)
		case e.Kind == history.EventRoundEnd && s.to < never:
			// Everything was mended before; the load goes on.
		case mends:
			s.to = e.Time + settles
		default:
			s.to = never
		}
	}
	delete(rounds, 0)
	for _, s := range rounds {
		q.add(s.from, s.to)
	}
}

// mended is when the member of the first event is said to serve again.
func (q *quiet) mended(events []history.Event) int64 {
	for i := range events {
		if e := &events[i]; e.Kind == history.EventServing && (e.Member == events[0].Member || events[0].Member == "") {
			return e.Time + settles
		}
	}
	return 1<<62 - 1
}

// outages are where no linearizable answer came for too long.
func (q *quiet) outages(h *ops) {
	var rets []int64
	for i := range h.all {
		if o := &h.all[i]; o.is(isOK) && !o.is(serializable) {
			rets = append(rets, o.ret)
		}
	}
	slices.Sort(rets)
	if len(rets) == 0 {
		q.add(-1<<62, 1<<62)
		return
	}
	q.add(-1<<62, rets[0])
	for i := 1; i < len(rets); i++ {
		if rets[i]-rets[i-1] > servesEvery {
			q.add(rets[i-1], rets[i])
		}
	}
	q.add(rets[len(rets)-1], 1<<62)
}

// overdue is how long, between two times, nothing disturbed the cluster for longer
// than a grace, in nanoseconds: after each disturbance the grace begins anew.
func (q *quiet) overdue(from, to, grace int64) (sum int64) {
	for _, s := range q.loud {
		if s.to <= from {
			continue
		}
		if s.from >= to {
			break
		}
		sum += max(0, s.from-from-grace)
		from = s.to
	}
	return sum + max(0, to-from-grace)
}

// touched says whether anything disturbed the cluster between two times.
func (q *quiet) touched(from, to int64) bool {
	return slices.ContainsFunc(q.loud, func(s span) bool { return s.from < to && s.to > from })
}
