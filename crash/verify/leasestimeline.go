package verify

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"github.com/etcdlab/etcdlab/crash/history"
)

// instant is a revision at a time in nanoseconds.
type instant struct{ time, rev int64 }

// timeline is what answers tell of when revisions happened: what holds by time
// (leases) is joined by it to what holds by revision (keys).
type timeline struct {
	told  []instant // answers in order of return, each newer than all before
	asked []instant // linearizable operations in order of revision, each invoked after all before
	terms []termSeen
	slop  int64 // nanoseconds that two clients' clocks may be apart
	base  int64
	last  int64 // the last return of an acknowledged operation
}

// timeline is made when it is first asked for: most runs need none.
func (r *replay) timeline() *timeline {
	if r.times == nil {
		r.times = newTimeline(r)
	}
	return r.times
}

func newTimeline(r *replay) *timeline {
	t := &timeline{terms: r.h.terms, slop: r.t.run.ClockUncertainty, base: r.base}
	head := r.ref.revision()
	tell := func(at, rev int64) {
		t.last = max(t.last, at)
		if rev > 0 && rev <= head {
			t.told = append(t.told, instant{at, rev})
		}
	}
	for i := range r.h.all {
		o := &r.h.all[i]
		if o.is(isOK) {
			tell(o.ret, o.rev)
		}
		// What was answered too old is for the order check, and no clock.
		if rev := o.known(); rev > 0 && !o.is(serializable) && rev >= r.floor[i] {
			t.asked = append(t.asked, instant{o.invoke, rev})
		}
	}
	for i := range r.h.calls {
		if c := &r.h.calls[i]; c.ok() {
			tell(c.ret, c.rev)
		}
	}
	slices.SortFunc(t.told, func(a, b instant) int { return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.rev, b.rev)) })
	t.told = rising(t.told, func(x instant) int64 { return x.rev })
	slices.SortFunc(t.asked, func(a, b instant) int { return cmp.Or(cmp.Compare(a.rev, b.rev), cmp.Compare(a.time, b.time)) })
	t.asked = rising(t.asked, func(x instant) int64 { return x.time })
	return t
}

// rising keeps those that are above all before them.
func rising(list []instant, of func(instant) int64) []instant {
	n, top := 0, int64(math.MinInt64)
	for _, x := range list {
		if v := of(x); v > top {
			top, list[n] = v, x
			n++
		}
	}
	return slices.Clip(list[:n])
}

// precedes says that one client's time is surely before another's.
func (t *timeline) precedes(a, b int64) bool { return a < b-t.slop }

// before is the newest revision that was known before a time.
func (t *timeline) before(at int64) int64 {
	i := sort.Search(len(t.told), func(i int) bool { return !t.precedes(t.told[i].time, at) })
	if i == 0 {
		return t.base
	}
	return max(t.base, t.told[i-1].rev)
}

// shown is when an answer first told of a revision or a newer one: it had
// happened by then. ok is false when none did.
func (t *timeline) shown(rev int64) (at int64, ok bool) {
	i := sort.Search(len(t.told), func(i int) bool { return t.told[i].rev >= rev })
	if i == len(t.told) {
		return math.MaxInt64, false
	}
	return t.told[i].time, true
}

// after is a revision that the store had not passed at a time; MaxInt64 if
// nothing tells.
func (t *timeline) after(at int64) int64 {
	i := sort.Search(len(t.asked), func(i int) bool { return t.precedes(at, t.asked[i].time) })
	if i == len(t.asked) {
		return math.MaxInt64
	}
	return t.asked[i].rev
}

// until is a time at which a revision was not over yet: nothing newer had
// happened. MinInt64 if nothing tells.
func (t *timeline) until(rev int64) int64 {
	i := sort.Search(len(t.asked), func(i int) bool { return t.asked[i].rev > rev })
	if i == 0 {
		return math.MinInt64
	}
	return t.asked[i-1].time
}

// termSeen is what answers tell of one raft term.
type termSeen struct {
	term  uint64
	first int64 // when an answer first told of it
	rev   int64 // the newest revision that an operation of the KV service was answered in it
}

// sawTerm notes the term of an answer. There are few terms, and mostly the
// newest is asked for.
func (h *ops) sawTerm(in *history.Op) {
	if in.RaftTerm == 0 {
		return
	}
	term := h.eras.term(in.RaftTerm, in.Return)
	i := len(h.terms) - 1
	for i >= 0 && h.terms[i].term != term {
		i--
	}
	if i < 0 {
		i = len(h.terms)
		h.terms = append(h.terms, termSeen{term: term, first: in.Return})
	}
	s := &h.terms[i]
	s.first = min(s.first, in.Return)
	if in.Kind <= history.KindTxn {
		s.rev = max(s.rev, in.Revision)
	}
}

// term is the newest raft term that was known before a time; 0 if none was.
func (t *timeline) term(at int64) (newest uint64) {
	for _, s := range t.terms {
		if t.precedes(s.first, at) {
			newest = max(newest, s.term)
		}
	}
	return newest
}

// within says whether a revision was made by a leader of no later term: etcd
// answers with the revision first and the term after it.
func (t *timeline) within(term uint64, rev int64) bool {
	return term > 0 && slices.ContainsFunc(t.terms, func(s termSeen) bool { return s.term == term && s.rev >= rev })
}
