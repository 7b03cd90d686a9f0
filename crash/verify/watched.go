package verify

import (
	"fmt"

	"github.com/etcdlab/etcdlab/crash/history"
)

// watch is one watch as far as its records were read. Revisions are 0 where
// there was none yet.
type watch struct {
	id     uint64
	client int32
	member string // the one asked; once it answers, the one that answers
	opened int64  // times in nanoseconds
	last   int64  // when its last record came
	q      history.WatchRequest
	sieve  sieve

	agreed   int64 // the header's revision when the server agreed
	by       uint64
	next     int64 // below it, all was told, or is missing; 0: where it begins is not known yet
	pos      int   // in the sieve, of the first record at next or above
	first    int64 // revision told of
	newest   int64 // revision told of
	mark     int64 // bookmark
	markAt   int64
	part     part
	missing  []absence
	gaps     int
	finished bool
}

// part is the newest revision told of, while it matters which of its events came.
type part struct {
	rev    int64
	at     int64
	lo, hi int      // its records in the sieve
	told   []bool   // by record
	wants  int      // records that pass the watch's filters
	n      int      // of those, told
	cut    bool     // that it came in two lists has been told
	keys   []string // told of, where the chronicle has no records
}

// absence is a revision that a watch was not told of when it should have been.
type absence struct {
	rev  int64
	pos  int // in the chronicle
	gap  int // numbered; revisions of one gap are told of together
	mark int64
	then int64 // what the watch was told of instead: a revision, of events or of the bookmark
	at   int64
}

// maxMissing bounds the memory of a watch that is told of almost nothing.
const maxMissing = 10_000

func newWatch(rec *history.WatchRecord) *watch {
	w := &watch{id: rec.Watch, client: rec.Client, member: rec.Member, opened: rec.Time, last: rec.Time, q: *rec.Request}
	if w.q.Start > 0 {
		w.begin(w.q.Start)
	}
	return w
}

// begin sets the first revision of which the watch must be told; where that is
// in the sieve is looked up when it is needed.
func (w *watch) begin(rev int64) { w.next, w.pos = rev, -1 }

func (w *watch) seen(rec *history.WatchRecord) {
	w.last = max(w.last, rec.Time)
	if rec.MemberID != 0 {
		w.by = rec.MemberID
	}
}

// created takes in that the server agreed. A watch from now on must be told of
// everything above the header's revision; from v3.6 on etcd reads that revision
// after it has registered the watch, so events of revisions up to it may come as
// well, from the first one on without a gap.
func (w *watch) created(rec *history.WatchRecord) {
	if w.agreed == 0 {
		w.agreed = rec.Revision
		if w.q.Start <= 0 && w.next == 0 && rec.Revision > 0 {
			w.begin(rec.Revision + 1)
		}
	}
}

// wants says whether an event is one the watch asked for.
func (w *watch) wants(key string) bool {
	switch w.q.End {
	case "":
		return key == w.q.Key
	case "\x00":
		return key >= w.q.Key
	}
	return key >= w.q.Key && key < w.q.End
}

// passes says whether the watch's filters let a kind of event through.
func (w *watch) passes(del bool) bool { return !(del && w.q.NoDelete) && !(!del && w.q.NoPut) }

// needs is the lowest revision that the watch may still have to be told of: what
// a compaction must be ahead of to cancel it. 0 is not known.
func (w *watch) needs() int64 {
	if w.q.Start <= 0 && w.newest == 0 && w.mark == 0 {
		return 0
	}
	return max(w.q.Start, w.newest+1, w.mark+1)
}

// behind are the members whose recorder stayed open to the end and yet was not
// told of what had been acknowledged long before. That it was connected all the
// time cannot be known, so this is a doubt.
func (j *watchJudge) behind(c *evidence) (d doubts) {
	type reach struct {
		rev, until int64
		watch      *watch
	}
	far := make(map[string]*reach)
	for _, w := range j.order {
		if !w.q.Recorder {
			continue
		}
		x := far[w.member]
		if x == nil {
			x = &reach{}
			far[w.member] = x
		}
		x.rev, x.until, x.watch = max(x.rev, w.newest, w.mark), max(x.until, w.last), w
	}
	for _, m := range c.cluster.members {
		x := far[m.name]
		if x == nil || !m.serving() {
			continue
		}
		for i := range c.ops.all {
			o := &c.ops.all[i]
			if o.is(isOK|owns) && o.rev > x.rev && o.rev <= j.head && o.ret < x.until-recorderPatience-c.run.ClockUncertainty {
				d = append(d, fmt.Sprintf("the recorder of %s (watch %d) was told of nothing above revision %d until it ended at %s, though revision %d was acknowledged at %s",
					m.name, x.watch.id, x.rev, j.t.at(x.until), o.rev, j.t.at(o.ret)))
				break
			}
		}
	}
	return d
}

// recorderPatience is how long after an acknowledgement, in nanoseconds, an open
// recorder of a member that serves should have been told of it: the traffic
// waits up to 5 s for that before it ends.
const recorderPatience = int64(3e9)
