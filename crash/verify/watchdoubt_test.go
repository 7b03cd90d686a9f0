package verify

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
)

// watchDoubts are runs whose watches cannot be judged in full, or that etcd may
// have told of as it did.
var watchDoubts = map[string]func(m *watchMutant) want{
	"told of nothing": func(m *watchMutant) want {
		s := m.all()
		s.Start = m.head() + 10
		m.on(s)
		return want{result: Inconclusive, text: "at least 1 is needed"}
	},
	"no store, and in order": func(m *watchMutant) want {
		m.on(m.all())
		m.noData()
		return want{result: Inconclusive, text: "can only be held against itself"}
	},
	"a cluster that did not recover": func(m *watchMutant) want {
		m.recorder(0)
		m.drop("", m.head())
		m.down("m1", "m2", "m3")
		return want{result: Inconclusive, text: "above the newest in the store"}
	},
	"a recorder that stays behind": func(m *watchMutant) want {
		s := recording(m.tape)
		s.upTo = m.head() - 40
		m.id = m.watch(s)
		m.out[m.kind(history.WatchClosed)].Time += 10e9
		return want{result: Inconclusive, text: "was told of nothing above revision"}
	},
	"a recorder that ended early, and another": func(m *watchMutant) want {
		s := recording(m.tape)
		s.upTo = m.head() - 40
		m.watch(s)
		s.Start, s.upTo = s.upTo+1, 0
		m.id = m.watch(s)
		m.out[m.kind(history.WatchClosed)].Time += 10e9
		return want{result: Pass}
	},
	"a tail that was not told": func(m *watchMutant) want {
		s := m.all()
		s.upTo = m.head() - 40
		m.on(s)
		return want{result: Pass}
	},
	"what was written as it was opened": func(m *watchMutant) want {
		rev := m.pick("a put", single)
		m.on(spec{agreed: rev - 4})
		m.out[m.kind(history.WatchOpened)].Time = m.Meta.Start
		m.out[m.kind(history.WatchCreated)].Revision = rev
		return want{result: Pass}
	},
	"a bookmark right before the start": func(m *watchMutant) want {
		m.markedFrom(4, 1)
		return want{result: Pass}
	},
	"fragments": func(m *watchMutant) want {
		s := m.all()
		s.Fragment = true
		m.on(s)
		i := m.told(m.pick("two puts", pair))
		rest := m.out[i]
		rest.Events, rest.Time = rest.Events[1:], rest.Time+1
		m.out[i].Events = m.out[i].Events[:1]
		m.out = slices.Insert(m.out, i+1, rest)
		return want{result: Pass}
	},
	"refused": func(m *watchMutant) want {
		s := m.all()
		m.on(s)
		s.upTo = 1
		m.on(s)
		r := &m.out[m.kind(history.WatchClosed)]
		r.Kind, r.Error = history.WatchCanceled, "etcdserver: permission denied"
		return want{result: Pass}
	},
}

func (m *watchMutant) noData() {
	for i := range m.Members {
		m.Members[i].NoData = true
		m.Final.Members[i].Data, m.Final.Members[i].DataError = "", "copy: unexpected EOF"
	}
}

func TestWatchDoubts(t *testing.T) {
	for name, brk := range watchDoubts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(3) {
				m := newWatchMutant(t, seed+500)
				w := brk(m)
				v := judge(t, m.tape.write(t), nil)
				c := check(v, checkWatch)
				if c.Verdict != w.result || !strings.Contains(c.Detail, w.text) {
					t.Fatal(show(v))
				}
			}
		})
	}
}

// TestWatchAlone judges watches where there is nothing else to judge: no store,
// or no history that could be read.
func TestWatchAlone(t *testing.T) {
	for name, hide := range map[string]func(m *watchMutant, dir string) error{
		"no store": func(*watchMutant, string) error { return nil },
		"no history": func(_ *watchMutant, dir string) error {
			return os.WriteFile(filepath.Join(dir, history.FileOps), []byte("nonsense, and more of it"), 0o644)
		},
	} {
		for _, broken := range []string{"", "unique", "ordered", "bookmarkable"} {
			m := newWatchMutant(t, 600)
			m.noData()
			m.on(m.all())
			rev := m.pick("a put", single)
			i := m.told(rev)
			switch broken {
			case "unique":
				m.out[i].Events = append(m.out[i].Events, m.out[i].Events[0])
			case "ordered":
				m.out[i].Events, m.out[i+1].Events = m.out[i+1].Events, m.out[i].Events
			case "bookmarkable":
				mark := m.out[i]
				mark.Kind, mark.Events, mark.Revision = history.WatchProgress, nil, rev
				m.out[i].Time++
				m.out = slices.Insert(m.out, i, mark)
			}
			dir := m.tape.write(t)
			if err := hide(m, dir); err != nil {
				t.Fatal(err)
			}
			c := check(judge(t, dir, nil), checkWatch)
			if broken == "" && c.Verdict != Inconclusive || broken != "" && (c.Verdict != Fail || !strings.Contains(c.Evidence[0].Message, broken)) {
				t.Errorf("%s, %s: %+v", name, broken, c)
			}
		}
	}
}
