package fsck

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// tie checks what ties the db's records to one another and to the log.
func (c *checker) tie(m *member) {
	s := m.store
	c.res.Facts.Revision, c.res.Facts.Compacted = s.revision(), s.compacted()
	c.res.Facts.Records, c.res.Facts.ConsistentIndex = len(s.records), s.index
	before := len(c.res.Problems)
	s.chain()
	if len(c.res.Problems) > before {
		return // the log would find the same again
	}
	applied := m.log.until(s.index)
	if len(applied) == 0 {
		if len(m.log.entries) > 0 && s.index > 0 {
			c.note("entry %d, the last that the db has applied, is not in the log: revisions were not compared with it", s.index)
		}
		return
	}
	// v3.4 does not know the term, and leaves an older one where it was.
	if e := &applied[len(applied)-1]; s.term > e.term {
		c.report(datadir.Problem{
			File: dbFile, Kind: "index",
			Message: fmt.Sprintf("the db has applied entry %d of term %d, and %s is of term %d", s.index, s.term, m.log.where(e), e.term),
		})
	}
	a := &alignment{s: s, l: m.log}
	a.run()
	v := &survivors{s: s, l: m.log, entries: a.entries, tell: func(r *record, e *logEntry) {
		a.rev = r.main
		a.tell([]record{*r}, e)
	}}
	if rev := a.rev; rev == max(s.compacted(), 1) && !a.lost {
		v.run(a.i, rev+1)
	}
	c.res.Facts.Matched, c.res.Facts.MatchedFrom = a.matched+v.matched, a.from
	if v.from > 0 {
		c.res.Facts.MatchedFrom = v.from
	}
	if a.lost && a.matched == 0 {
		if e := ahead(s, m.log); e != nil {
			c.report(datadir.Problem{
				File: dbFile, Kind: "index", Page: &s.indexPage, Offset: &s.indexOff,
				Message: fmt.Sprintf("the db says that it has applied entry %d, and its newest revision %d was written by %s: etcd would apply entries a second time", s.index, s.revision(), m.log.where(e)),
			})
			return
		}
	}
	if a.skipped >= confirm {
		c.doubt("the db says that it has applied entry %d, and %d puts before that are not in it: all of them were refused, or the db is older than it says", s.index, a.skipped)
	}
	if a.lost {
		c.doubt("the entries of the log up to %d could not be told apart as the writers of revision %d and those before it: these were not compared with the log", m.log.entries[max(a.i-1, 0)].index, a.rev)
	}
}

// ahead looks for the writer of the newest revision beyond what the db says it
// has applied: the index it saved is then too old, as etcd up to v3.5.5 leaves it
// when it crashes after a defragmentation (etcd issue 14685).
func ahead(s *store, l *raftLog) *logEntry {
	a := &alignment{s: s, l: l, entries: l.until(l.report.WAL.Last)}
	for j := range a.entries {
		e := &a.entries[j]
		if e.index > s.index && e.op != nil && s.explains(e.op, s.group(s.revision())) == fullMatch && a.follow(j, s.revision()-1) >= confirm {
			return e
		}
	}
	return nil
}

// tail says how the log ends.
func (c *checker) tail(w *datadir.WAL) {
	f := &c.res.Facts
	f.WALFirst, f.WALLast, f.WALCommit, f.Term, f.Segments = w.First, w.Last, w.Commit, w.Term, w.Segments
	switch {
	case w.Beyond:
		c.doubt("%s: after the end of the log at byte %d there is more from byte %d on: a cut of the power can leave that if etcd was not started since, otherwise it is damage; entries after %d are lost", w.TornFile, w.TornAt, w.BeyondAt, w.Last)
	case w.Torn:
		c.note("%s ends at byte %d with a record that was not written to its end, as a crash leaves it: etcd removes it when it starts; nothing of it was acknowledged", w.TornFile, w.TornAt)
	}
}

// agree checks the snapshot files, and the indexes where all else is whole.
func (c *checker) agree(m *member) {
	rep := m.log.report
	for _, s := range rep.Snaps {
		if s.Error == "" {
			c.res.Facts.Snapshots++
		}
	}
	recorded := rep.WAL.Recorded()
	if len(c.res.Problems) > 0 {
		for _, p := range rep.DamagedSnaps() {
			c.report(p)
		}
	} else if m.whole {
		rep.DB.ConsistentIndex, rep.DB.Keys = m.store.index, len(m.store.records)
		version := ""
		if m.shared != nil && m.shared.ClusterVersion != "" {
			version = "v" + m.shared.ClusterVersion
		}
		for _, p := range rep.Agree(version) {
			if p.File == "" {
				p.File = "member/wal"
			}
			c.report(p)
		}
	}
	for _, s := range rep.Snaps {
		known := false
		for _, r := range recorded {
			known = known || r.Index == s.Index && r.Term == s.Term
		}
		switch {
		case s.Error == "" || known:
		case len(recorded) > 0 && s.Index < recorded[0].Index && rep.WAL.FirstSeq > 0:
			c.doubt("member/snap/%s is damaged, and the log no longer says whether it was ever whole: %s; etcd starts from a newer one", s.Name, s.Error)
		default:
			c.note("member/snap/%s is not whole, and the log does not say that it was finished: %s", s.Name, s.Error)
		}
	}
	for _, index := range rep.SnapDBs {
		c.note("member/snap/%016x.snap.db is a db that the leader sent and that was not taken into use", index)
	}
}

// live is the size of the pages in use, in bytes, the meta pages included.
func (w *walker) live() (n int64) {
	for id := range w.f.high {
		if len(w.seen) > 0 && w.seen[id/64]&(1<<(id%64)) != 0 {
			n += w.f.pageSize
		}
	}
	return n + 2*w.f.pageSize
}

// hole notes that keys are missing from here on.
func (s *store) hole() {
	if s.holed {
		return
	}
	s.holed = true
	if n := len(s.records); n > 0 {
		s.intact = s.records[n-1].main
	}
}

// settle comes to the verdict, and to what can be done.
func (c *checker) settle(m *member) {
	r := c.res
	for _, kind := range slices.Sorted(maps.Keys(c.more)) {
		r.Notes = append(r.Notes, fmt.Sprintf("%d more problems of the kind %s", c.more[kind], kind))
	}
	switch {
	case len(r.Problems) > 0:
		r.Verdict = Fail
		r.Recoverable = recoverable(m, r)
	case len(r.Doubts) > 0:
		r.Verdict = Inconclusive
	default:
		r.Verdict = Pass
	}
}

// recoverable says what is whole, and how to get a whole directory again.
func recoverable(m *member, r *Result) (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	wal := &m.log.report.WAL
	logWhole, dbWhole := true, m.whole
	for _, p := range r.Problems {
		logWhole = logWhole && !strings.HasPrefix(p.File, "member/wal")
		dbWhole = dbWhole && p.File != dbFile
	}
	switch {
	case dbWhole:
		say("the db is whole up to revision %d (entry %d of the log)", m.store.revision(), m.store.index)
		say("`etcdutl snapshot restore member/snap/db --skip-hash-check --data-dir NEW` makes a new cluster of that state, on a copy")
	case m.store != nil && m.store.holed && len(m.store.records) > 0:
		say("%d records of the db can still be read, without a gap up to revision %d", len(m.store.records), m.store.intact)
	case m.store != nil && len(m.store.records) > 0:
		say("%d records of the db can still be read, up to revision %d, besides those named above", len(m.store.records), m.store.revision())
	default:
		say("nothing of the db can be read")
	}
	switch {
	case wal.First == 0:
		say("the log holds no whole entry")
	case logWhole:
		say("entries %d to %d of the log are whole", wal.First, wal.Last)
	default:
		say("entries %d to %d of the log, before the damage, are whole", wal.First, wal.Last)
	}
	if !dbWhole && logWhole && wal.First == 1 && len(wal.Recorded()) == 0 {
		say("the log goes back to the first entry: without the file member/snap/db, etcd makes it again from the log; try it on a copy")
	}
	say("where other members are healthy, `etcdctl member remove` this one and `member add` it with an empty directory: it gets a whole copy; otherwise restore the newest backup with `etcdutl snapshot restore`")
	return lines
}
