package verify

import (
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// told judges one list of events, revision by revision.
func (j *watchJudge) told(w *watch, rec *history.WatchRecord) {
	evs := rec.Events
	j.events += len(evs)
	for i := 0; i < len(evs); {
		rev, k := evs[i].KV.ModRevision, i+1
		for k < len(evs) && evs[k].KV.ModRevision == rev {
			k++
		}
		j.revision(w, rec, rev, evs[i:k])
		i = k
	}
}

// revision judges the events of one revision in one list.
func (j *watchJudge) revision(w *watch, rec *history.WatchRecord, rev int64, evs []history.WatchEvent) {
	switch {
	case w.q.Start > 0 && rev < w.q.Start:
		j.f.add(rankPhantom, rev, func() Evidence {
			return j.evidence(w, rec.Time, rev, evs[0].KV.Key, "start: %s was told of revision %d, %s, which is before the first it asked for", j.name(w), rev, j.tell(&evs[0]))
		})
		return
	case rev == w.part.rev:
		j.split(w, rec, evs)
		j.match(w, rec, rev, evs)
		return
	case rev <= w.mark || rev < w.newest:
		j.late(w, rec, rev, evs)
		return
	}
	j.half(w)
	if w.next == 0 || rev < w.next {
		// From now on: it began earlier than the server said, which it may.
		j.fromNow(w, rec, rev, evs)
		w.begin(rev)
	}
	j.advance(w, rec.Time, rev, 0)
	if w.first == 0 {
		w.first = rev
	}
	w.newest = rev
	lo := w.pos
	for w.pos < w.sieve.len() && w.sieve.rev(w.pos) == rev {
		w.pos++
	}
	w.part.begin(w, rev, rec.Time, lo)
	w.next = rev + 1
	j.early(w, rec, rev, evs)
	j.match(w, rec, rev, evs)
}

func (p *part) begin(w *watch, rev, at int64, lo int) {
	p.rev, p.at, p.lo, p.hi, p.n, p.told, p.keys = rev, at, lo, w.pos, 0, p.told[:0], nil
	p.wants, p.cut = 0, false
	for i := lo; i < p.hi; i++ {
		p.told = append(p.told, false)
		if w.passes(w.sieve.recs[w.sieve.at(i)].Is(datadir.Tombstone)) {
			p.wants++
		}
	}
}

// match judges events of the watch's newest revision one by one.
func (j *watchJudge) match(w *watch, rec *history.WatchRecord, rev int64, evs []history.WatchEvent) {
	p := &w.part
	known := j.known(rev)
	for i := range evs {
		e := &evs[i]
		if !w.wants(e.KV.Key) || !w.passes(e.Delete) {
			j.f.add(rankPhantom, rev, func() Evidence {
				return j.evidence(w, rec.Time, rev, e.KV.Key, "filters: %s was told of %s at revision %d, which it did not ask for", j.name(w), j.tell(e), rev)
			})
			continue
		}
		n := p.find(w, j.t.keys.names, e.KV.Key)
		switch {
		case n < 0 && !known:
			j.unknown(w, rec, rev, e)
		case n < 0:
			j.phantom(w, rec, rev, e)
		case p.told[n]:
			j.again(w, rec, rev, e)
		default:
			at := w.sieve.at(p.lo + n)
			if w.passes(w.sieve.recs[at].Is(datadir.Tombstone)) {
				p.n++
			}
			p.told[n] = true
			j.compare(w, rec, e, at)
		}
	}
}

// find gives the record of the revision that an event is of; -1: none. They come
// in the order of the store, as far as etcd goes, which is tried first.
func (p *part) find(w *watch, names []string, key string) int {
	count := p.hi - p.lo
	for k := range count {
		n := (p.n + k) % count
		if names[w.sieve.recs[w.sieve.at(p.lo+n)].Key] == key {
			return n
		}
	}
	return -1
}

// known says whether the chronicle has all of a revision, if it was one.
func (j *watchJudge) known(rev int64) bool {
	return j.r != nil && rev <= j.head && (rev > j.chron.compacted || j.chron.known(rev, rev))
}

// unknown deals with an event that there is nothing to hold against.
func (j *watchJudge) unknown(w *watch, rec *history.WatchRecord, rev int64, e *history.WatchEvent) {
	if slices.Contains(w.part.keys, e.KV.Key) {
		j.again(w, rec, rev, e)
		return
	}
	w.part.keys = append(w.part.keys, strings.Clone(e.KV.Key))
	switch {
	case j.r == nil || rev <= j.chron.base:
	case rev > j.head:
		j.lost(w, rec.Time, rev, e.KV.Key, j.tell(e))
	case len(w.part.keys) == 1:
		j.blind++
	}
}

// advance goes on to a revision and notes what the watch was not told of below
// it. mark is the bookmark that it goes on by, if it is one.
func (j *watchJudge) advance(w *watch, now, upTo, mark int64) {
	if w.pos < 0 {
		w.pos = w.sieve.find(w.next)
	}
	if w.next >= upTo {
		return
	}
	before := len(w.missing)
	for w.pos < w.sieve.len() && w.sieve.rev(w.pos) < upTo {
		a := absence{rev: w.sieve.rev(w.pos), pos: -1, gap: w.gaps, mark: mark, then: upTo, at: now}
		if mark > 0 {
			a.then = mark
		}
		for ; w.pos < w.sieve.len() && w.sieve.rev(w.pos) == a.rev; w.pos++ {
			if at := w.sieve.at(w.pos); a.pos < 0 && w.passes(w.sieve.recs[at].Is(datadir.Tombstone)) {
				a.pos = at
			}
		}
		if a.pos >= 0 {
			w.missing = append(w.missing, a)
		}
	}
	if len(w.missing) > before {
		w.gaps++
	}
	if len(w.missing) > maxMissing {
		j.flush(w)
	}
	if from, to := max(w.next, j.chron.base+1), min(upTo-1, j.chron.compacted); j.r != nil && from <= to && !j.chron.known(from, to) {
		j.blind++
	}
	w.next = upTo
}

// bookmark judges a progress notification.
func (j *watchJudge) bookmark(w *watch, rec *history.WatchRecord) {
	j.bookmarks++
	rev := rec.Revision
	if rev <= 0 {
		return
	}
	// The client's library resumes after the newest bookmark, and would be told
	// of what was not asked for (etcd issue #20221).
	if rev < w.q.Start-1 {
		j.f.add(rankOrder, rev, func() Evidence {
			return j.evidence(w, rec.Time, rev, "", "start: %s was told of a bookmark at revision %d, before the first it asked for", j.name(w), rev)
		})
	}
	if back := max(w.mark, w.newest); rev < back {
		j.f.add(rankOrder, rev, func() Evidence {
			return j.evidence(w, rec.Time, rev, "", "bookmarkable: %s was told of a bookmark at revision %d, though it had been told of revision %d before: it went back", j.name(w), rev, back)
		})
		return
	}
	j.half(w)
	if j.r != nil && rev > j.head {
		j.lost(w, rec.Time, rev, "", "a bookmark at it")
	}
	if w.next == 0 {
		w.begin(rev + 1)
	}
	if w.next <= rev {
		j.advance(w, rec.Time, rev+1, rev)
	}
	w.mark, w.markAt = rev, rec.Time
}
