package verify

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
)

const checkWatch = "watch"

// watchJudge goes once through what watchers were told, record by record, and
// holds it against the chronicle. It keeps of each open watch how far it has
// been told, and nothing else of the past.
type watchJudge struct {
	t     *teller
	r     *replay    // nil: no store could be read, and only a watch itself can be judged
	chron *chronicle // never nil
	head  int64      // the chronicle's newest revision
	live  int64      // the newest that a member answered at the end
	f     findings
	asked askedCompactions
	floor memberFloors

	sieves sieves
	open   map[uint64]*watch // by id; nil: it has ended
	order  []*watch          // those that are open, and all recorders, as they began
	prev   []uint32          // of the chronicle's records, once it is needed

	watches, events, bookmarks, canceled int
	blind                                int // revisions told of or passed over that the chronicle does not know
	beyond                               int // told of revisions above the store of a cluster that did not recover
	foreign                              int // compactions that others may have asked for
	malformed                            string
}

// judgeWatch says whether every watch was told what etcd guarantees: nothing
// twice, nothing late, nothing left out, and nothing but what happened. r is nil
// when no store can be read, and why says so.
func (c *evidence) judgeWatch(path string, t *teller, r *replay, why string) Check {
	j := &watchJudge{t: t, r: r, open: make(map[uint64]*watch), chron: &chronicle{base: 1<<63 - 1}}
	if r != nil {
		j.chron, j.head = r.chron, r.ref.revision()
		for _, m := range r.c.members {
			if m.serving() {
				j.live = max(j.live, m.final.Revision)
			}
		}
	}
	j.asked = newAskedCompactions(c, r)
	j.sieves = newSieves(r)
	truncated, err := j.read(path)
	if err != nil && j.watches == 0 && errors.Is(err, os.ErrNotExist) {
		return Check{}
	}
	if err == nil && j.watches == 0 && !truncated && j.malformed == "" {
		return Check{}
	}
	for _, w := range j.order {
		j.end(w)
	}
	d := j.doubts(c, truncated, why)
	check := settle(checkWatch, &j.f, d,
		fmt.Sprintf("%d findings against %d watches, which were told of %d events", j.f.total, j.watches, j.events),
		fmt.Sprintf("%d watches were told of %d events and %d bookmarks: in order, each once and as it was written, revisions whole and none left out; %d were canceled for a compaction that was ahead of them",
			j.watches, j.events, j.bookmarks, j.canceled))
	if bad := j.broken(err); bad != "" && check.Verdict != Fail {
		return Check{Name: checkWatch, Verdict: Error, Detail: bad}
	}
	return check
}

func (j *watchJudge) broken(err error) string {
	switch {
	case err != nil:
		return "what the watches were told cannot be read: " + bare(err).Error()
	case j.malformed != "":
		return "the history of the watches contradicts itself: " + j.malformed
	}
	return ""
}

func (j *watchJudge) doubts(c *evidence, truncated bool, why string) (d doubts) {
	if why != "" {
		d = append(d, why+": what the watches were told can only be held against itself")
	}
	if truncated {
		d = append(d, "the history of the watches ends early: what they were told last is missing from it")
	}
	if c.ops != nil && c.ops.truncated {
		d = append(d, "the history ends early: operations are missing from it")
	}
	if j.watches > 0 && j.events == 0 {
		d = append(d, fmt.Sprintf("%d watches were told of no event: at least 1 is needed to judge them", j.watches))
	}
	if j.r != nil {
		d.when(j.blind, "watches passed %d stretches of revisions that compaction removed, and of which no recorder tells")
	}
	d.when(j.beyond, "%d times a watch was told of a revision above the newest in the store that could be read")
	d.when(j.foreign, "%d answers are right only if someone else asked for a compaction, which cannot be known")
	if j.r != nil {
		d = append(d, j.behind(c)...)
	}
	return d
}

func (j *watchJudge) read(path string) (truncated bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	r, err := history.NewWatchReader(f)
	if err != nil {
		return false, err
	}
	var rec history.WatchRecord
	for {
		if err := r.Next(&rec); errors.Is(err, io.EOF) {
			return r.Truncated(), nil
		} else if err != nil {
			return false, err
		}
		j.take(&rec)
	}
}

func (j *watchJudge) take(rec *history.WatchRecord) {
	if rec.Kind == history.WatchOpened {
		j.opened(rec)
		return
	}
	w, known := j.open[rec.Watch]
	if !known {
		j.contradicts("watch %d was never opened", rec.Watch)
	}
	if w == nil {
		return // what was on its way when the client closed it
	}
	w.seen(rec)
	switch rec.Kind {
	case history.WatchCreated:
		w.created(rec)
	case history.WatchEvents:
		j.told(w, rec)
	case history.WatchProgress:
		j.bookmark(w, rec)
	case history.WatchCanceled:
		j.cancel(w, rec)
		j.close(w)
	case history.WatchClosed:
		j.close(w)
	}
}

func (j *watchJudge) contradicts(format string, args ...any) {
	if j.malformed == "" {
		j.malformed = fmt.Sprintf(format, args...)
	}
}

func (j *watchJudge) opened(rec *history.WatchRecord) {
	if rec.Request == nil {
		j.contradicts("watch %d asks for nothing", rec.Watch)
		return
	}
	if _, known := j.open[rec.Watch]; known {
		j.contradicts("watch %d is opened twice", rec.Watch)
		return
	}
	j.watches++
	w := newWatch(rec)
	w.sieve = j.sieves.of(w.q.Key, w.q.End)
	j.open[w.id] = w
	j.order = append(j.order, w)
}

// close lets go of a watch that ended, but for recorders, which are asked at the
// end how far they came.
func (j *watchJudge) close(w *watch) {
	j.end(w)
	w.sieve = sieve{}
	j.open[w.id] = nil
	if !w.q.Recorder {
		j.order = slices.DeleteFunc(j.order, func(o *watch) bool { return o == w })
	}
}
