package verify

import (
	"fmt"
	"strings"
)

const checkDurability = "durability"

// doubts are reasons why a check that found nothing wrong is no pass.
type doubts []string

func (d *doubts) when(n int, format string) {
	if n > 0 {
		*d = append(*d, fmt.Sprintf(format, n))
	}
}

// settle makes a check of what was found: evidence fails it, and without any a
// doubt makes it inconclusive.
func settle(name string, f *findings, d doubts, wrong, right string) Check {
	c := Check{Name: name, Verdict: Pass, Detail: right}
	switch {
	case f.total > 0:
		c.Verdict, c.Detail = Fail, wrong
		if len(d) > 0 {
			c.Detail += "; also " + strings.Join(d, "; ")
		}
	case len(d) > 0:
		c.Verdict, c.Detail = Inconclusive, strings.Join(d, "; ")
	}
	c.Evidence, c.Total = f.evidence(), f.total
	return c
}

// judgeDurability says whether every acknowledged write is in the recovered
// store once, at its revision, and nothing else is.
func judgeDurability(r *replay) Check {
	r.otherStores()
	var d doubts
	if r.h.truncated {
		d = append(d, "the history ends early: operations are missing from it")
	}
	if r.h.acked == 0 {
		d = append(d, "no write was acknowledged: there is nothing that could be lost")
	}
	if n := len(r.c.members); r.c.readable < quorum(n) {
		d = append(d, fmt.Sprintf("the data of only %d of %d members can be read", r.c.readable, n))
	}
	d = append(d, r.unknown()...)
	d.when(r.walOnly, "%d acknowledged writes are only in a serving member's log, not yet in its db")
	d.when(r.atRisk, "the cluster did not recover, which is the recovery check's failure; %d acknowledged writes are on members' disks and not served")
	d.when(r.unseen, "the cluster did not recover and not every disk could be read: %d acknowledged writes may be on one of those")
	d.when(r.unwritten, "%d values in the store are of operations that the history does not have")
	d.when(r.oldHoles, "revisions from before the run are missing in %d places")
	d.when(r.strange, "%d deletes in the store have no known author, and the logs do not reach back far enough to tell")
	d.when(len(r.foreign), "%d of the run's keys were written by others")
	return settle(checkDurability, &r.durability, d,
		fmt.Sprintf("%d findings against %d acknowledged writes", r.durability.total, r.h.acked),
		fmt.Sprintf("all %d acknowledged writes are in the store once, at their revision, on every member that serves; %d writes with an unknown outcome are there too, and nothing else is", r.h.acked, r.resolved))
}

// otherStores holds the stores of the other serving members against the one
// that was replayed: what was acknowledged must be in each as far as it goes.
func (r *replay) otherStores() {
	var owner map[int64]int32
	for _, m := range r.c.members {
		if m == r.ref || !m.readable() || !m.serving() || !r.c.recovered {
			continue
		}
		eachDifference(r.ref, m, min(r.ref.revision(), m.revision()), func(d difference) bool {
			if owner == nil {
				owner = r.owners()
			}
			n, ok := owner[d.main]
			if !ok {
				return true
			}
			o := &r.h.all[n]
			if r.holds(m, o) {
				return true // other bytes of no consequence to the write; member-hash tells
			}
			r.durability.add(rankLost, d.main, func() Evidence {
				has := "has no such revision"
				if len(d.b) > 0 {
					has = fmt.Sprintf("holds %s there", r.t.records(m, d.b))
					if r.sameNames(m, d) {
						has += ", with other bytes"
					}
				}
				e := r.t.evidence(o, fmt.Sprintf("%s is not in the store of %s after recovery, which %s; the store of %s has it%s",
					r.t.describe(o), m.name, has, names(r.agreeing(d.main)), r.t.nextFault(o.invoke)))
				e.Member = m.name
				return r.t.story(e, o)
			})
			return true
		})
	}
}

func (r *replay) sameNames(m *member, d difference) bool {
	return r.t.records(r.ref, d.a) == r.t.records(m, d.b)
}

// owners are the acknowledged writes that the replayed store has, by revision.
func (r *replay) owners() map[int64]int32 {
	owner := make(map[int64]int32, r.h.acked)
	for i := range r.h.all {
		if o := &r.h.all[i]; o.is(isOK|owns) && o.at == o.rev {
			owner[o.rev] = int32(i)
		}
	}
	return owner
}
