package verify

import (
	"slices"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// compact has the run ask for a compaction once all else is done; it is the
// first thing that is asked at the time it gives.
func (m *watchMutant) compact(rev int64) (asked int64) {
	o := m.op(history.OK, m.head())
	o.Kind, o.Call, o.Results = history.KindCompact, &history.Call{Revision: rev}, nil
	m.mutant.compact(rev)
	m.tape.end = o.Return + 1_000_000
	return o.Invoke
}

// after moves all records of the watch behind a time.
func (m *watchMutant) after(at int64) {
	for i := range m.out {
		if m.out[i].Watch == m.id {
			m.out[i].Time = at + int64(i)
		}
	}
}

func (m *watchMutant) recorders() (second uint64) {
	m.recorder(0)
	second = m.recorder(1)
	m.recorder(2)
	return second
}

func gone(g []rungen.Record) bool { return len(g) == 1 && g[0].Tombstone }

// watchCompactions are watches of runs of which a compaction took the first part.
var watchCompactions = map[string]func(m *watchMutant) want{
	"recorders that agree": func(m *watchMutant) want {
		m.recorders()
		m.compact(m.head() - 20)
		return want{result: Pass}
	},
	"one of three misses an event": func(m *watchMutant) want {
		m.id = m.recorders()
		m.compact(m.head() - 20)
		rev := m.pick("a put", single)
		m.remove(m.told(rev))
		return want{rev: rev, member: "m2", text: "able: the recorder"}
	},
	"the first of three misses an event": func(m *watchMutant) want {
		m.id = m.recorders() - 1
		m.compact(m.head() - 20)
		rev := m.pick("a put", single)
		m.remove(m.told(rev))
		return want{rev: rev, member: "m1", text: "able: the recorder"}
	},
	"one of three is told twice": func(m *watchMutant) want {
		m.id = m.recorders()
		m.compact(m.head() - 20)
		rev := m.pick("a put", single)
		r := &m.out[m.told(rev)]
		r.Events = append(r.Events, r.Events[0])
		return want{rev: rev, member: "m2", text: "unique: the recorder"}
	},
	"the first of three is told another value": func(m *watchMutant) want {
		m.id = m.recorders() - 1
		m.compact(m.head() - 20)
		rev := m.pick("a put", single)
		m.event(rev).KV.Value += "!"
		return want{rev: rev, member: "m1", text: "with other bytes"}
	},
	"the first of three is told another version": func(m *watchMutant) want {
		m.id = m.recorders() - 1
		m.compact(m.head() - 20)
		rev := m.pick("a put", single)
		m.event(rev).KV.Version++
		return want{rev: rev, member: "m1", text: "with version"}
	},
	"the first of three is told half a revision": func(m *watchMutant) want {
		m.id = m.recorders() - 1
		m.compact(m.head() - 20)
		rev := m.pick("two puts", pair)
		r := &m.out[m.told(rev)]
		r.Events = r.Events[1:]
		return want{rev: rev, member: "m1", text: "atomic: the recorder"}
	},
	"one of three is told out of order": func(m *watchMutant) want {
		m.id = m.recorders()
		m.compact(m.head() - 20)
		i := m.told(m.pick("a put", single))
		for m.out[i+1].Kind != history.WatchEvents {
			i++
		}
		m.out[i].Events, m.out[i+1].Events = m.out[i+1].Events, m.out[i].Events
		return want{member: "m2", text: "ed: the recorder"}
	},
	"the only recorder misses what was acknowledged": func(m *watchMutant) want {
		m.id = m.recorder(0)
		m.compact(m.head() - 20)
		o := m.aPut()
		m.remove(m.told(o.Revision))
		return want{rev: o.Revision, op: o.ID, text: "able: the recorder"}
	},
	"nobody recorded": func(m *watchMutant) want {
		m.on(m.all())
		m.compact(m.head() - 20)
		return want{result: Inconclusive, text: "no recorder tells"}
	},
	"nobody recorded, and a watch above the compaction": func(m *watchMutant) want {
		s := m.all()
		s.Start = m.head() - 19
		m.on(s)
		m.compact(m.head() - 20)
		rev := m.head() - 5
		m.remove(m.told(rev))
		return want{rev: rev, text: "reliable: watch"}
	},
	"prev-kv that is compacted": func(m *watchMutant) want {
		m.recorders()
		s := m.all()
		s.Start = m.pick("an update", update)
		m.on(s)
		m.after(m.compact(s.Start))
		m.event(s.Start).Prev = nil
		return want{result: Pass}
	},
	"prev-kv that is left": func(m *watchMutant) want {
		m.recorders()
		s := m.all()
		s.Start = m.pick("an update", update)
		m.on(s)
		m.after(m.compact(s.Start - 1))
		m.event(s.Start).Prev = nil
		return want{rev: s.Start, text: "without what was there before"}
	},
	"prev-kv missing before the compaction was asked for": func(m *watchMutant) want {
		m.recorders()
		s := m.all()
		s.Start = m.pick("an update", update)
		m.on(s)
		m.compact(m.head() - 5)
		m.event(s.Start).Prev = nil
		return want{rev: s.Start, text: "without what was there before"}
	},
	"canceled for it": func(m *watchMutant) want {
		m.recorders()
		s := m.all()
		s.upTo, s.compact = m.head()-50, m.head()-20
		m.on(s)
		m.after(m.compact(s.compact))
		return want{result: Pass}
	},
	"canceled at its own start": func(m *watchMutant) want {
		m.recorders()
		s := m.all()
		s.Start = m.head() - 20
		s.upTo, s.compact = s.Start-1, s.Start
		m.on(s)
		m.after(m.compact(s.compact))
		return want{rev: s.Start, text: "though it needed nothing below"}
	},
	"canceled before it was asked for": func(m *watchMutant) want {
		m.recorders()
		s := m.all()
		s.upTo, s.compact = m.head()-50, m.head()-20
		m.on(s)
		m.compact(s.compact)
		return want{rev: s.compact, text: "that nobody had asked for"}
	},
	"canceled for a compaction by someone else": func(m *watchMutant) want {
		m.recorders()
		s := m.all()
		s.upTo, s.compact = m.head()-50, m.head()-20
		m.on(s)
		m.compact(s.compact)
		m.Ops = slices.DeleteFunc(m.Ops, func(o history.Op) bool { return o.Kind == history.KindCompact })
		return want{result: Inconclusive, text: "someone else"}
	},
	"not told of the delete at the compaction itself": func(m *watchMutant) want {
		m.recorders()
		s := m.all()
		s.Start = m.pick("a delete", gone)
		m.on(s)
		m.after(m.compact(s.Start))
		m.remove(m.told(s.Start))
		return want{rev: s.Start, text: "resumable: watch"}
	},
	"not canceled, and told from the compaction on": func(m *watchMutant) want {
		m.recorders()
		s := m.all()
		s.Start = m.head() - 20
		m.on(s)
		m.after(m.compact(s.Start))
		m.out[m.kind(history.WatchOpened)].Request.Start -= 10
		return want{rev: s.Start - 10, text: "resumable: watch"}
	},
}

func TestWatchCompactions(t *testing.T) {
	for name, brk := range watchCompactions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(3) {
				m := newWatchMutant(t, seed+400)
				m.judged(t, brk(m))
			}
		})
	}
}
