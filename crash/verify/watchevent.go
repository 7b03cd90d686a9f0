package verify

import (
	"fmt"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// compare holds an event against the chronicle's record at a position.
func (j *watchJudge) compare(w *watch, rec *history.WatchRecord, e *history.WatchEvent, at int) {
	g := &j.chron.recs[at]
	wrong := func(format string, args ...any) {
		j.f.add(rankChanged, g.Main, func() Evidence {
			return j.evidence(w, rec.Time, g.Main, e.KV.Key, "%s", fmt.Sprintf("event: %s was told of %s at revision %d ", j.name(w), j.tell(e), g.Main)+
				fmt.Sprintf(format, args...)+", where the revision has "+j.record(at))
		})
	}
	if e.Delete != g.Is(datadir.Tombstone) {
		wrong("as a %s", map[bool]string{true: "delete", false: "put"}[e.Delete])
		return
	}
	if g.Is(datadir.Foreign) {
		return // of others' keys nothing else is kept
	}
	if !e.Delete {
		switch kv := &e.KV; {
		case datadir.Hash(kv.Value) != g.Value:
			wrong("with other bytes")
		case (kv.CreateRevision == g.Main) != (g.Create == g.Main):
			wrong("as %s", map[bool]string{true: "creating the key, which was there before", false: "changing a key that it creates"}[kv.CreateRevision == g.Main])
		case kv.CreateRevision != g.Create:
			wrong("with create revision %d instead of %d", kv.CreateRevision, g.Create)
		case kv.Version != g.Version:
			wrong("with version %d instead of %d", kv.Version, g.Version)
		case kv.Lease != g.Lease:
			wrong("with lease %x instead of %x", kv.Lease, g.Lease)
		}
	}
	if e.Prev != nil || w.q.Prev {
		j.before(w, rec, e, at)
	}
}

// before judges what an event says was there before. etcd looks it up when it
// sends the event, at the revision before: it leaves it out once that is below
// the compaction.
func (j *watchJudge) before(w *watch, rec *history.WatchRecord, e *history.WatchEvent, at int) {
	g := &j.chron.recs[at]
	wrong := func(format string, args ...any) {
		j.f.add(rankRead, g.Main, func() Evidence {
			return j.evidence(w, rec.Time, g.Main, e.KV.Key, "%s", fmt.Sprintf("prev-kv: %s was told of %s at revision %d ", j.name(w), j.tell(e), g.Main)+fmt.Sprintf(format, args...))
		})
	}
	created := !e.Delete && g.Create == g.Main
	switch {
	case e.Prev == nil && created:
		return
	case e.Prev == nil:
		switch j.asked.reaches(g.Main, rec.Time) {
		case yes:
		case perhaps:
			j.foreign++
		default:
			wrong("without what was there before, which no compaction had removed")
		}
		return
	case created:
		wrong("with %s as what was there before, but the key was not there", j.tellKV(e.Prev))
		return
	}
	if j.prev == nil {
		j.prev = prevs(j.chron.recs)
	}
	p := int(j.prev[at]) - 1
	if p < 0 || j.chron.recs[p].Is(datadir.Tombstone) || j.chron.told && !j.chron.known(j.chron.recs[p].Main+1, g.Main-1) && j.chron.recs[p].Main+1 < g.Main {
		// The record before is not known; the event itself tells of it.
		if e.Prev.Key != e.KV.Key || e.Prev.ModRevision >= g.Main || !e.Delete && (e.Prev.Version != g.Version-1 || e.Prev.CreateRevision != g.Create) {
			wrong("with %s as what was there before, which does not fit it", j.tellKV(e.Prev))
		}
		return
	}
	b := &j.chron.recs[p]
	if e.Prev.Key != e.KV.Key || e.Prev.ModRevision != b.Main || datadir.Hash(e.Prev.Value) != b.Value ||
		e.Prev.CreateRevision != b.Create || e.Prev.Version != b.Version || e.Prev.Lease != b.Lease {
		wrong("with %s as what was there before, but that was %s (mod revision %d, create revision %d, version %d, lease %x)",
			j.tellKV(e.Prev), j.record(p), b.Main, b.Create, b.Version, b.Lease)
	}
}

// early judges whether a watch was told of a write before anyone asked for it.
// Deletes of unknown outcome leave no name: which of them wrote a revision is
// not certain.
func (j *watchJudge) early(w *watch, rec *history.WatchRecord, rev int64, evs []history.WatchEvent) {
	n := j.chron.writer(rev)
	if n < 0 {
		return
	}
	o := &j.t.h.all[n]
	if rec.Time >= o.invoke-j.t.run.ClockUncertainty || !o.is(isOK) && evs[0].Delete {
		return
	}
	j.f.add(rankOrder, rev, func() Evidence {
		return j.evidence(w, rec.Time, rev, evs[0].KV.Key, "early: %s was told of revision %d, %s, before it was asked for: %s was invoked at %s",
			j.name(w), rev, j.tell(&evs[0]), strings.TrimSuffix(j.t.describe(o), ","), j.t.at(o.invoke))
	})
}

// fromNow judges the first event of a watch from now on that is not above the
// revision at which the server agreed: it must not be of before the request.
func (j *watchJudge) fromNow(w *watch, rec *history.WatchRecord, rev int64, evs []history.WatchEvent) {
	if j.r == nil || w.agreed == 0 || rev >= w.agreed {
		return // a watch that is resumed before its first event begins at that revision
	}
	by := j.responder(w)
	floor := j.floor.at(j.t, by, w.opened-j.t.run.ClockUncertainty)
	if rev > floor {
		return
	}
	j.f.add(rankPhantom, rev, func() Evidence {
		return j.evidence(w, rec.Time, rev, evs[0].KV.Key, "start: %s was told of revision %d, %s, though it asked for what comes from %s on, and %s had answered at revision %d before",
			j.name(w), rev, j.tell(&evs[0]), j.t.at(w.opened), by, floor)
	})
}

func (j *watchJudge) responder(w *watch) string {
	for _, m := range j.t.run.Members {
		if m.ID == w.by && w.by != 0 {
			return m.Name
		}
	}
	return w.member
}

// name is a watch as findings call it.
func (j *watchJudge) name(w *watch) string {
	var b strings.Builder
	if w.q.Recorder {
		fmt.Fprintf(&b, "the recorder, watch %d", w.id)
	} else {
		fmt.Fprintf(&b, "watch %d of client %d", w.id, w.client)
	}
	if by := j.responder(w); by != "" {
		b.WriteString(" at " + by)
	}
	switch {
	case w.q.End == "":
		b.WriteString(" (on " + j.t.short(w.q.Key))
	case w.q.End == "\x00" && w.q.Key <= "\x00":
		b.WriteString(" (on all keys")
	default:
		b.WriteString(" (on [" + j.t.short(w.q.Key) + ", " + j.t.short(w.q.End) + ")")
	}
	if w.q.NoPut {
		b.WriteString(", deletes only")
	}
	if w.q.NoDelete {
		b.WriteString(", puts only")
	}
	if w.q.Start > 0 {
		fmt.Fprintf(&b, ", from revision %d)", w.q.Start)
	} else {
		b.WriteString(", from now on)")
	}
	return b.String()
}

// tell is an event: "put K = c1/000123".
func (j *watchJudge) tell(e *history.WatchEvent) string {
	if e.Delete {
		return "a delete of " + j.t.short(e.KV.Key)
	}
	return j.tellKV(&e.KV)
}

func (j *watchJudge) tellKV(kv *history.KV) string {
	v := "a value that is not the run's"
	if name, ok := history.ParseValue(kv.Value); ok && name.RunID == j.t.run.ID {
		v = value(name.Client, name.Op, name.N)
	}
	return j.t.short(kv.Key) + " = " + v
}

// record is a record of the chronicle and who wrote it.
func (j *watchJudge) record(at int) string {
	if at < 0 {
		return "nothing"
	}
	return j.t.records(nil, j.chron.recs[at:at+1]) + j.author(j.chron.recs[at].Main)
}

func (j *watchJudge) keyOf(at int) string { return j.t.keys.names[j.chron.recs[at].Key] }

func (j *watchJudge) author(rev int64) string {
	if n := j.chron.writer(rev); n >= 0 {
		return " (" + strings.TrimSuffix(j.t.describe(&j.t.h.all[n]), ",") + ")"
	}
	return ""
}

func (j *watchJudge) evidence(w *watch, at, rev int64, key, format string, args ...any) Evidence {
	e := Evidence{Message: fmt.Sprintf(format, args...), Client: w.client, Member: j.responder(w), Revision: rev, Time: at}
	if !strings.Contains(e.Message, j.t.at(at)) {
		e.Message += ", at " + j.t.at(at)
	}
	if key != "" {
		e.Keys = []string{key}
	}
	if n := j.chron.writer(rev); n >= 0 {
		o := &j.t.h.all[n]
		e.Operation = uint64(o.id)
		return j.t.story(e, o)
	}
	return e
}
