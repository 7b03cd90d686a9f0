package verify

import (
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// watchMutant breaks what one watcher was told, or the run under it.
type watchMutant struct {
	*mutant
	*tape
	id uint64 // of the watch that is broken
}

func (m *watchMutant) head() int64 { return m.mutant.head() }

func newWatchMutant(t *testing.T, seed uint64) *watchMutant {
	m := newMutant(t, seed)
	x := newTape(m.Run)
	return &watchMutant{mutant: m, tape: x}
}

func (m *watchMutant) recorder(member int) uint64 {
	s := recording(m.tape)
	s.member, s.every = member, 20
	return m.watch(s)
}

// on adds a watch of all of the run's keys.
func (m *watchMutant) on(s spec) *watchMutant {
	if s.Key == "" {
		s.Key, s.End = m.Meta.Prefix, rungen.PrefixEnd(m.Meta.Prefix)
	}
	m.id = m.watch(s)
	return m
}

// told is the index of the record that tells the watch of a revision.
func (m *watchMutant) told(rev int64) int {
	m.t.Helper()
	i := slices.IndexFunc(m.out, func(r history.WatchRecord) bool {
		return r.Watch == m.id && slices.ContainsFunc(r.Events, func(e history.WatchEvent) bool { return e.KV.ModRevision == rev })
	})
	if i < 0 {
		m.t.Fatalf("watch %d is not told of revision %d", m.id, rev)
	}
	return i
}

func (m *watchMutant) kind(k history.WatchKind) int {
	m.t.Helper()
	i := slices.IndexFunc(m.out, func(r history.WatchRecord) bool { return r.Watch == m.id && r.Kind == k })
	if i < 0 {
		m.t.Fatalf("watch %d has no record of kind %d", m.id, k)
	}
	return i
}

// pick is a revision of the run's keys from the middle on that is as wanted.
func (m *watchMutant) pick(what string, want func(group []rungen.Record) bool) int64 {
	m.t.Helper()
	recs := m.tape.recs
	for i := len(recs) / 2; i < len(recs)-10; i++ {
		k := i + 1
		for k < len(recs) && recs[k].Main == recs[i].Main {
			k++
		}
		ours := !slices.ContainsFunc(recs[i:k], func(r rungen.Record) bool { return !strings.HasPrefix(r.KV.Key, m.Meta.Prefix) })
		if recs[i-1].Main != recs[i].Main && ours && want(recs[i:k]) {
			return recs[i].Main
		}
	}
	m.t.Fatalf("the run has no revision with %s", what)
	return 0
}

func single(g []rungen.Record) bool { return len(g) == 1 && !g[0].Tombstone }
func update(g []rungen.Record) bool { return single(g) && g[0].KV.Version > 1 }
func pair(g []rungen.Record) bool   { return len(g) == 2 && !g[0].Tombstone && !g[1].Tombstone }

func (m *watchMutant) all() spec {
	return spec{WatchRequest: history.WatchRequest{Start: m.Meta.Base.Revision + 1, Prev: true}}
}

// event is the first event of a revision as the watch is told it.
func (m *watchMutant) event(rev int64) *history.WatchEvent { return &m.out[m.told(rev)].Events[0] }

func (m *watchMutant) remove(i int) { m.out = slices.Delete(m.out, i, i+1) }

var watchMutants = map[string]func(m *watchMutant) want{
	"gap": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("a put", single)
		m.remove(m.told(rev))
		return want{rev: rev, text: "reliable: watch"}
	},
	"gap of a recorder": func(m *watchMutant) want {
		m.id = m.recorder(1)
		rev := m.pick("a put", single)
		m.remove(m.told(rev))
		return want{rev: rev, member: "m2", text: "able: the recorder, watch"}
	},
	"gap in a list": func(m *watchMutant) want {
		s := m.all()
		s.list = 30
		m.on(s)
		rev := m.pick("a put", single)
		r := &m.out[m.told(rev)]
		r.Events = slices.DeleteFunc(r.Events, func(e history.WatchEvent) bool { return e.KV.ModRevision == rev })
		return want{rev: rev, text: "reliable: watch"}
	},
	"gap of one key": func(m *watchMutant) want {
		rev := m.pick("an update", update)
		recs := m.tape.recs
		i := slices.IndexFunc(recs, func(r rungen.Record) bool { return r.Main == rev })
		s := m.all()
		s.Key, s.End = recs[i].KV.Key, ""
		m.on(s)
		m.remove(m.told(rev))
		return want{rev: rev, text: "reliable: watch"}
	},
	"not from its start": func(m *watchMutant) want {
		s := m.all()
		s.Start = m.pick("a put", single)
		m.on(s)
		m.remove(m.told(s.Start))
		return want{rev: s.Start, text: "resumable: watch"}
	},
	"misses what came after its creation": func(m *watchMutant) want {
		rev := m.pick("a put", single)
		m.on(spec{agreed: rev - 1})
		m.remove(m.told(rev))
		return want{rev: rev, text: "reliable: watch"}
	},
	"told twice": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("a put", single)
		i := m.told(rev)
		again := m.out[i]
		again.Time++
		m.out = slices.Insert(m.out, i+1, again)
		return want{rev: rev, text: "unique: watch"}
	},
	"told twice, later": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("a put", single)
		again := m.out[m.told(rev)]
		i := m.told(m.head())
		again.Time = m.out[i].Time + 1
		m.out = slices.Insert(m.out, i+1, again)
		return want{rev: rev, text: "unique: watch"}
	},
	"told twice in a list": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("a put", single)
		r := &m.out[m.told(rev)]
		r.Events = append(r.Events, r.Events[0])
		return want{rev: rev, text: "unique: watch"}
	},
	"reordered": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("a put", single)
		i := m.told(rev)
		m.out[i].Events, m.out[i+1].Events = m.out[i+1].Events, m.out[i].Events
		return want{rev: rev, text: "ordered: watch"}
	},
	"reordered in a list": func(m *watchMutant) want {
		s := m.all()
		s.list = 30
		m.on(s)
		rev := m.pick("a put", single)
		evs := m.out[m.told(rev)].Events
		at := slices.IndexFunc(evs, func(e history.WatchEvent) bool { return e.KV.ModRevision == rev })
		if at == len(evs)-1 || evs[at+1].KV.ModRevision == rev {
			m.t.Skip("it is the last in its list")
		}
		evs[at], evs[at+1] = evs[at+1], evs[at]
		return want{text: "ed: watch", rev: rev}
	},
	"split in two lists": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("two puts", pair)
		i := m.told(rev)
		rest := m.out[i]
		rest.Events, rest.Time = rest.Events[1:], rest.Time+1
		m.out[i].Events = m.out[i].Events[:1]
		m.out = slices.Insert(m.out, i+1, rest)
		return want{rev: rev, text: "atomic: watch"}
	},
	"half a revision": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("two puts", pair)
		i := m.told(rev)
		m.out[i].Events = m.out[i].Events[:1]
		return want{rev: rev, text: "atomic: watch"}
	},
	"half a revision, at the end": func(m *watchMutant) want {
		s := m.all()
		rev := m.pick("two puts", pair)
		s.upTo = rev
		m.on(s)
		i := m.told(rev)
		m.out[i].Events = m.out[i].Events[1:]
		return want{rev: rev, text: "only 1 of the 2 events"}
	},
	"fragments around a bookmark": func(m *watchMutant) want {
		s := m.all()
		s.Fragment = true
		m.on(s)
		rev := m.pick("two puts", pair)
		i := m.told(rev)
		rest := m.out[i]
		rest.Events, rest.Time = rest.Events[1:], rest.Time+2
		m.out[i].Events = m.out[i].Events[:1]
		mark := m.out[i]
		mark.Kind, mark.Events, mark.Revision, mark.Time = history.WatchProgress, nil, rev, mark.Time+1
		m.out = slices.Insert(m.out, i+1, mark, rest)
		return want{rev: rev, text: "atomic: watch"}
	},
	"bookmark too early": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("a put", single)
		i := m.told(rev)
		mark := m.out[i]
		mark.Kind, mark.Events, mark.Revision = history.WatchProgress, nil, rev
		m.out[i].Time++
		m.out = slices.Insert(m.out, i, mark)
		return want{rev: rev, text: "bookmarkable: watch"}
	},
	"bookmark over what never comes": func(m *watchMutant) want {
		s := m.all()
		rev := m.pick("a put", single)
		s.upTo = rev
		m.on(s)
		i := m.told(rev)
		m.out[i].Kind, m.out[i].Events = history.WatchProgress, nil
		return want{rev: rev, text: "bookmarkable: watch"}
	},
	"bookmark over what a quiet key never has": func(m *watchMutant) want {
		rev := m.pick("a put", single)
		s := m.all()
		s.Key, s.End, s.Start = m.written(rev).KV.Key, "", rev
		m.on(s)
		i := m.kind(history.WatchCreated)
		mark := m.out[i]
		mark.Kind, mark.Revision, mark.Time = history.WatchProgress, m.head(), m.tape.end-5
		m.out = append(slices.DeleteFunc(m.out, func(r history.WatchRecord) bool { return r.Watch == m.id && r.Kind == history.WatchEvents }), mark)
		return want{rev: rev, text: "bookmarkable: watch"}
	},
	"bookmark goes back": func(m *watchMutant) want {
		s := m.all()
		s.every = 20
		m.on(s)
		mark := m.out[m.kind(history.WatchProgress)]
		mark.Time = m.tape.end - 1
		m.out = append(m.out, mark)
		return want{rev: mark.Revision, text: "went back"}
	},
	"bookmark of a revision that is not there": func(m *watchMutant) want {
		m.on(m.all())
		mark := m.out[m.kind(history.WatchCreated)]
		mark.Kind, mark.Revision, mark.Time = history.WatchProgress, m.head()+5, m.tape.end-1
		m.out = append(m.out, mark)
		return want{rev: m.head() + 5, text: "told and then lost"}
	},
	"a bookmark below the start": func(m *watchMutant) want {
		return want{rev: m.markedFrom(10, 4), text: "start: watch"}
	},
	"before its start": func(m *watchMutant) want {
		s := m.all()
		s.Start = m.head() - 20
		m.on(s)
		m.out[m.kind(history.WatchOpened)].Request.Start += 5
		return want{rev: s.Start, text: "start: watch"}
	},
	"a future watch told of what is": func(m *watchMutant) want {
		s := m.all()
		s.Start = m.head() - 2
		m.on(s)
		m.out[m.kind(history.WatchOpened)].Request.Start = m.head() + 10
		return want{rev: m.head() - 2, text: "start: watch"}
	},
	"from now on, told of the past": func(m *watchMutant) want {
		rev := m.pick("a put", single)
		m.on(spec{agreed: rev - 40})
		later := m.tape.when[rev]
		m.out[m.kind(history.WatchCreated)].Revision = rev
		for i := range m.out {
			if r := &m.out[i]; r.Watch == m.id {
				r.Time = max(r.Time, later)
				if r.Kind > history.WatchCreated {
					r.Time += 2_000_000
				}
			}
		}
		return want{text: "start: watch"}
	},
	"before it was asked for": func(m *watchMutant) want {
		o := m.tooEarly()
		return want{op: o.ID, rev: o.Revision, text: "early: watch"}
	},
	"before it was asked for, by clocks that are apart": func(m *watchMutant) want {
		m.tooEarly()
		m.Meta.ClockUncertainty = 5000
		return want{result: Pass}
	},
	"other value": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("a put", single)
		m.event(rev).KV.Value += "!"
		return want{rev: rev, text: "with other bytes"}
	},
	"a delete as a put": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("a delete", func(g []rungen.Record) bool { return len(g) == 1 && g[0].Tombstone })
		m.event(rev).Delete = false
		return want{rev: rev, text: "as a put"}
	},
	"another version": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("a put", single)
		m.event(rev).KV.Version++
		return want{rev: rev, text: "with version"}
	},
	"create flag": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("an update", update)
		m.event(rev).KV.CreateRevision = rev
		return want{rev: rev, text: "as creating the key"}
	},
	"another create revision": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("an update", update)
		m.event(rev).KV.CreateRevision--
		return want{rev: rev, text: "with create revision"}
	},
	"another lease": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("a put", single)
		m.event(rev).KV.Lease = 77
		return want{rev: rev, text: "with lease 4d"}
	},
	"another key": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("a put", single)
		m.event(rev).KV.Key += "x"
		return want{rev: rev, text: "event: watch"}
	},
	"a key it did not ask for": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("a put", single)
		m.event(rev).KV.Key = "/app/1"
		return want{rev: rev, text: "filters: watch"}
	},
	"no put, and a put": func(m *watchMutant) want {
		m.on(m.all())
		m.out[m.kind(history.WatchOpened)].Request.NoPut = true
		return want{rev: 0, text: "filters: watch"}
	},
	"no delete, and a delete": func(m *watchMutant) want {
		m.on(m.all())
		m.out[m.kind(history.WatchOpened)].Request.NoDelete = true
		return want{text: "filters: watch"}
	},
	"prev-kv of another version": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("an update", update)
		m.event(rev).Prev.Version++
		return want{rev: rev, text: "prev-kv: watch"}
	},
	"prev-kv missing": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("an update", update)
		m.event(rev).Prev = nil
		return want{rev: rev, text: "without what was there before"}
	},
	"prev-kv where nothing was": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("a create", func(g []rungen.Record) bool { return single(g) && g[0].KV.Version == 1 })
		kv := m.event(rev).KV
		kv.ModRevision--
		m.event(rev).Prev = &kv
		return want{rev: rev, text: "but the key was not there"}
	},
	"of a revision that is lost": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.head() + 1
		i := m.told(m.head())
		r := m.out[i]
		r.Time, r.Revision = m.tape.end-1, rev
		r.Events = []history.WatchEvent{{KV: history.KV{Key: m.key("k1"), Value: "x", ModRevision: rev, CreateRevision: rev, Version: 1}}}
		m.out = append(m.out, r)
		return want{rev: rev, text: "it was told and then lost"}
	},
	"of what is lost, and its revision given away": func(m *watchMutant) want {
		m.on(m.all())
		rev := m.pick("a put", single)
		m.event(rev).KV.Value = history.Value(m.Meta.ID, 3, 999999, 0, 80)
		m.event(rev).KV.Key = m.key("z")
		return want{rev: rev, text: "it was told and then lost, or never was"}
	},
	"canceled without need": func(m *watchMutant) want {
		s := m.all()
		s.upTo = m.head() - 10
		s.compact = m.head() - 20
		m.on(s)
		return want{rev: m.head() - 9, text: "compaction: watch"}
	},
	"canceled for nothing": func(m *watchMutant) want {
		s := m.all()
		s.upTo = m.head() - 50
		s.compact = m.head() - 20
		m.on(s)
		return want{rev: m.head() - 20, text: "that nobody had asked for"}
	},
}

// tooEarly adds a watch that is told of a put 1,000 ns before it is invoked.
func (m *watchMutant) tooEarly() *history.Op {
	s := m.all()
	o := m.aPut()
	s.Start, s.upTo = o.Revision, o.Revision
	m.on(s)
	for i, at := m.kind(history.WatchOpened), o.Invoke-3000; m.out[i].Kind != history.WatchClosed; i, at = i+1, at+1000 {
		m.out[i].Time = at
	}
	return o
}

// written is the event of a revision as a recorder would be told it.
func (m *watchMutant) written(rev int64) *history.WatchEvent {
	i := slices.IndexFunc(m.tape.recs, func(r rungen.Record) bool { return r.Main == rev })
	return &history.WatchEvent{KV: m.tape.recs[i].KV}
}

func (m *watchMutant) judged(t *testing.T, w want) {
	t.Helper()
	v := judge(t, m.tape.write(t), nil)
	if w.result == Pass {
		if v.Verdict != Pass {
			t.Fatal(show(v))
		}
		return
	}
	w.check, w.only = checkWatch, true
	w.test(t, v)
}

func TestWatchMutants(t *testing.T) {
	for name, brk := range watchMutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(3) {
				m := newWatchMutant(t, seed+300)
				m.tape.crowd()
				w := brk(m)
				m.judged(t, w)
			}
		})
	}
}

// markedFrom opens a watch so many revisions below the newest, which is told of a
// bookmark so far below its start, and gives the bookmark's revision.
func (m *watchMutant) markedFrom(below, before int64) int64 {
	s := m.all()
	s.Start = m.head() - below
	m.on(s)
	mark := m.out[m.kind(history.WatchCreated)]
	mark.Kind, mark.Revision = history.WatchProgress, s.Start-before
	mark.Time++
	m.out = slices.Insert(m.out, m.kind(history.WatchCreated)+1, mark)
	return mark.Revision
}
