package fsck

import (
	"fmt"
	"strings"
)

const (
	// How far down the log the writer of a revision is looked for: requests
	// that had no effect may lie between.
	lookBack = 20_000
	// How many older revisions must follow on at once from the entries before
	// a suspect one, for the suspicion to be told.
	confirm = 8
)

// alignment compares the revisions above the compaction with the entries that
// wrote them, from the newest back: the db has applied the log up to its
// consistent index, each revision was written by one entry, and in the same
// order. Which requests had no effect the log does not say, so one that seems to
// differ is told only where what comes before it fits again.
type alignment struct {
	s       *store
	l       *raftLog
	entries []logEntry
	i       int   // entries[:i] are not explained yet
	rev     int64 // nor is this revision
	matched int
	from    int64 // oldest revision that was compared; 0: none
	skipped int   // plain puts passed over before the first match
	lost    bool  // the log could not be followed further
}

func (a *alignment) run() {
	a.entries = a.l.until(a.s.index)
	a.i, a.rev = len(a.entries), a.s.revision()
	oldest := max(a.s.compacted(), 1)
	for a.rev > oldest {
		group := a.s.group(a.rev)
		if len(group) == 0 {
			return // beyond a gap, which chain has told
		}
		j, m := a.find(group)
		if m != fullMatch || j != a.next() {
			if k, ok := a.suspect(group, j, m == fullMatch); ok {
				a.tell(group, &a.entries[k])
				a.i, m = k, noMatch
				a.from = a.rev
				a.rev--
				continue
			}
		}
		if m != fullMatch {
			a.lost = a.writersBelow(a.i, confirm) == confirm
			return
		}
		if a.matched == 0 {
			for i := a.next(); i > j; i = a.before(i) {
				if a.entries[i].op.kind == opPut {
					a.skipped++
				}
			}
		}
		a.i, a.matched, a.from = j, a.matched+1, a.rev
		a.rev--
	}
}

// next gives the newest entry left that may write, or -1.
func (a *alignment) next() int { return a.before(a.i) }

func (a *alignment) before(i int) int {
	for i--; i >= 0; i-- {
		if a.entries[i].op != nil {
			return i
		}
	}
	return -1
}

// find looks for the newest entry left that explains the records.
func (a *alignment) find(group []record) (int, match) {
	j := a.next()
	for range lookBack {
		if j < 0 {
			break
		}
		if a.s.explains(a.entries[j].op, group) == fullMatch {
			return j, fullMatch
		}
		j = a.before(j)
	}
	return -1, noMatch
}

// suspect looks for the entry that should have written other records than these:
// one above what explains them, if anything does, with the same keys or, failing
// that, the very next one.
func (a *alignment) suspect(group []record, explained int, found bool) (int, bool) {
	plain := 0
	if found {
		// It fits what is further down. Then the entries passed over had no
		// effect, unless taking them so leads nowhere.
		plain = a.follow(explained, a.rev-1)
	}
	need := a.need()
	if found && plain >= need {
		return 0, false
	}
	for _, near := range []bool{true, false} {
		j := a.next()
		for range confirm * 2 {
			if j < 0 || found && j <= explained {
				break
			}
			o := a.entries[j].op
			fits := near && a.s.explains(o, group) == nearMatch || !near && a.alike(o, group)
			if fits && a.certain(j, need) && a.follow(j, a.rev-1) > plain {
				return j, true
			}
			j = a.before(j)
		}
	}
	return 0, false
}

// need is how many revisions could confirm a suspicion.
func (a *alignment) need() int {
	return int(min(confirm, a.rev-1-max(a.s.compacted(), 1)))
}

// certain says whether, with this entry taken for the writer, what is older fits.
// At the very compaction nothing is older: then only a put that nothing else in
// between can be will do.
func (a *alignment) certain(j, need int) bool {
	if need == 0 {
		return j == a.next() && a.entries[j].op.kind == opPut && a.matched > 0
	}
	got := a.follow(j, a.rev-1)
	return got >= need || got >= 1 && a.before(j) >= 0 && got >= a.writersBelow(j, need)
}

// writersBelow counts entries that may write below one, up to a number.
func (a *alignment) writersBelow(j, upTo int) (n int) {
	for j = a.before(j); j >= 0 && n < upTo; j = a.before(j) {
		n++
	}
	return n
}

// alike says whether a request can write as many records of the same kinds, of
// whatever keys: one whose key was changed.
func (a *alignment) alike(o *op, group []record) bool {
	puts := 0
	for i := range group {
		if !group[i].tombstone {
			puts++
		}
	}
	switch o.kind {
	case opPut:
		return len(group) == 1 && puts == 1
	case opTxn:
		return true
	}
	return puts == 0
}

// follow counts how many revisions in a row, from rev back, are explained by the
// entries below i with no put passed over, up to confirm.
func (a *alignment) follow(i int, rev int64) (n int) {
	oldest := max(a.s.compacted(), 1)
	for passed := 0; n < confirm && rev > oldest; {
		if i = a.before(i); i < 0 {
			return n
		}
		o := a.entries[i].op
		if a.s.explains(o, a.s.group(rev)) == fullMatch {
			n, passed = n+1, 0
			rev--
			continue
		}
		if passed++; o.kind == opPut || passed > confirm {
			return n
		}
	}
	return n
}

// tell reports a revision that is not what its entry wrote.
func (a *alignment) tell(group []record, e *logEntry) {
	r := &group[0]
	what := "holds " + a.s.describe(group)
	if e.op.kind == opPut && len(group) == 1 {
		if a.s.keys[r.key] == e.op.key && !r.tombstone {
			what = "has another value than was put"
			if r.value == e.op.value || e.op.ignoreValue {
				what = fmt.Sprintf("has lease %x and not %x", uint64(r.lease), uint64(e.op.lease))
			}
			what = "of key " + a.s.name(r.key) + " " + what
		} else {
			what = fmt.Sprintf("%s, where the key %q was put", what, head([]byte(e.op.key)))
		}
	} else {
		what += ", not all of which that request can have written"
	}
	a.s.problem("value", r.page, r.off, "revision %d %s; see %s", a.rev, what, a.l.where(e))
}

// describe names what a revision holds.
func (s *store) describe(group []record) string {
	var parts []string
	for i := range group[:min(len(group), 4)] {
		r := &group[i]
		if r.tombstone {
			parts = append(parts, "a deletion of key "+s.name(r.key))
			continue
		}
		parts = append(parts, "key "+s.name(r.key))
	}
	if len(group) > 4 {
		parts = append(parts, fmt.Sprintf("%d more", len(group)-4))
	}
	return strings.Join(parts, ", ")
}
