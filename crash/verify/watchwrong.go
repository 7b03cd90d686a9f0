package verify

import (
	"fmt"
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// late judges events of a revision that the watch should have been told of
// before: those that were missing come out of order, or after the bookmark that
// said they had come; any others come again.
func (j *watchJudge) late(w *watch, rec *history.WatchRecord, rev int64, evs []history.WatchEvent) {
	e := &evs[0]
	at := slices.IndexFunc(w.missing, func(a absence) bool { return a.rev == rev })
	switch {
	case at >= 0:
		a := w.missing[at]
		w.missing = slices.Delete(w.missing, at, at+1)
		if a.mark > 0 || rev <= w.mark {
			j.afterMark(w, rec, rev, e)
			return
		}
		j.outOfOrder(w, rec, rev, e)
	case j.known(rev) && rev >= max(w.q.Start, w.first) && w.first > 0 && rev <= w.newest && j.due(w, rev):
		j.again(w, rec, rev, e)
	case rev <= w.mark:
		j.afterMark(w, rec, rev, e)
	default:
		j.outOfOrder(w, rec, rev, e)
	}
}

// due says whether a revision has anything for the watch.
func (j *watchJudge) due(w *watch, rev int64) bool {
	for n := w.sieve.find(rev); n < w.sieve.len() && w.sieve.rev(n) == rev; n++ {
		if w.passes(w.sieve.recs[w.sieve.at(n)].Is(datadir.Tombstone)) {
			return true
		}
	}
	return false
}

func (j *watchJudge) outOfOrder(w *watch, rec *history.WatchRecord, rev int64, e *history.WatchEvent) {
	j.f.add(rankOrder, rev, func() Evidence {
		return j.evidence(w, rec.Time, rev, e.KV.Key, "ordered: %s was told of revision %d, %s, after revision %d", j.name(w), rev, j.tell(e), w.newest)
	})
}

func (j *watchJudge) afterMark(w *watch, rec *history.WatchRecord, rev int64, e *history.WatchEvent) {
	j.f.add(rankOrder, rev, func() Evidence {
		return j.evidence(w, rec.Time, rev, e.KV.Key, "bookmarkable: %s was told at %s that everything up to revision %d had come, and only then of revision %d, %s",
			j.name(w), j.t.at(w.markAt), w.mark, rev, j.tell(e))
	})
}

func (j *watchJudge) again(w *watch, rec *history.WatchRecord, rev int64, e *history.WatchEvent) {
	j.f.add(rankTwice, rev, func() Evidence {
		return j.evidence(w, rec.Time, rev, e.KV.Key, "unique: %s was told a second time of revision %d, %s", j.name(w), rev, j.tell(e))
	})
}

// split tells of a revision that goes on in another list.
func (j *watchJudge) split(w *watch, rec *history.WatchRecord, evs []history.WatchEvent) {
	p := &w.part
	if w.q.Fragment || p.cut || p.n >= p.wants && p.keys == nil || slices.ContainsFunc(evs, func(e history.WatchEvent) bool { return slices.Contains(p.keys, e.KV.Key) }) {
		return
	}
	p.cut = true
	j.f.add(rankChanged, p.rev, func() Evidence {
		return j.evidence(w, rec.Time, p.rev, evs[0].KV.Key, "atomic: %s was told of revision %d in two lists: after the one at %s came %s, which is of the same revision",
			j.name(w), p.rev, j.t.at(p.at), j.tell(&evs[0]))
	})
}

// half tells of a revision of which only some events came, once it is over.
func (j *watchJudge) half(w *watch) {
	p := &w.part
	if p.n >= p.wants || p.n == 0 {
		return // of a revision none of whose events came something else was told instead
	}
	missed := -1
	for n := p.lo; n < p.hi && missed < 0; n++ {
		if at := w.sieve.at(n); !p.told[n-p.lo] && w.passes(w.sieve.recs[at].Is(datadir.Tombstone)) {
			missed = at
		}
	}
	n, want := p.n, p.wants
	p.n = p.wants
	if missed < 0 {
		return
	}
	j.f.add(rankChanged, p.rev, func() Evidence {
		return j.evidence(w, p.at, p.rev, j.keyOf(missed), "atomic: %s was told of only %d of the %d events of revision %d together: %s did not come with them",
			j.name(w), n, want, p.rev, j.record(missed))
	})
}

// end judges what can only be told once nothing more comes.
func (j *watchJudge) end(w *watch) {
	if w.finished {
		return
	}
	w.finished = true
	if !w.q.Fragment { // the rest of a list may be on its way
		j.half(w)
	}
	j.flush(w)
}

// flush tells of what the watch was never told of, gap by gap.
func (j *watchJudge) flush(w *watch) {
	for i := 0; i < len(w.missing); {
		k := i + 1
		for k < len(w.missing) && w.missing[k].gap == w.missing[i].gap {
			k++
		}
		a, last := w.missing[i], w.missing[k-1]
		what := fmt.Sprintf("revision %d, %s", a.rev, j.record(a.pos))
		if k-i > 1 {
			what = fmt.Sprintf("%d revisions from %d to %d, the first of which has %s", k-i, a.rev, last.rev, j.record(a.pos))
		}
		j.f.add(rankHole, a.rev, func() Evidence {
			switch {
			case a.mark > 0:
				return j.evidence(w, a.at, a.rev, j.keyOf(a.pos), "bookmarkable: %s was told at %s that everything up to revision %d had come, but never of %s", j.name(w), j.t.at(a.at), a.mark, what)
			case w.q.Start > 0 && a.then == w.first:
				return j.evidence(w, a.at, a.rev, j.keyOf(a.pos), "resumable: %s was told of revision %d first, at %s, and never of %s", j.name(w), a.then, j.t.at(a.at), what)
			}
			return j.evidence(w, a.at, a.rev, j.keyOf(a.pos), "reliable: %s was told of revision %d at %s, but never of %s", j.name(w), a.then, j.t.at(a.at), what)
		})
		i = k
	}
	w.missing = w.missing[:0]
}

// phantom tells of an event that the chronicle does not have at its revision:
// it never was, or it was lost after the watch had been told.
func (j *watchJudge) phantom(w *watch, rec *history.WatchRecord, rev int64, e *history.WatchEvent) {
	rank, where := rankLost, "the store after recovery"
	if rev <= j.chron.compacted {
		rank, where = rankPhantom, "what is known of that revision, which has been compacted since,"
	}
	j.f.add(rank, rev, func() Evidence {
		has := "has no such revision"
		if group := j.chron.group(rev); len(group) > 0 {
			has = "holds " + j.t.records(j.r.ref, group) + " instead" + j.author(rev)
		}
		doom := ": it was told and then lost, or never was"
		if rank == rankPhantom {
			doom = ""
		}
		return j.evidence(w, rec.Time, rev, e.KV.Key, "event: %s was told of %s at revision %d, but %s %s%s", j.name(w), j.tell(e), rev, where, has, doom)
	})
}

// lost tells of a revision above the newest that is left.
func (j *watchJudge) lost(w *watch, at, rev int64, key, what string) {
	if !j.r.c.recovered || len(j.r.ref.pendingOps)+len(j.r.ref.pendingDeletes) > 0 || rev <= j.live {
		j.beyond++
		return
	}
	j.f.add(rankLost, rev, func() Evidence {
		return j.evidence(w, at, rev, key, "event: %s was told of revision %d, %s, but after recovery the newest revision is %d: it was told and then lost%s",
			j.name(w), rev, what, j.head, j.t.nextFault(at))
	})
}
