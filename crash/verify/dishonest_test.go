package verify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

// damage is an event of a disk that was dishonest from the run's middle on.
func (m *mutant) damage(member string, d history.Damage) int64 {
	at := m.Meta.Start + (m.now-m.Meta.Start)/2
	m.Events = append(m.Events, history.Event{Time: at, Kind: history.EventDamaged, Round: 1, Member: member, Damage: &d})
	return at
}

// logAt is a line of etcd's log at a time of the run.
func (m *mutant) logAt(at int64, rest string) string {
	wall, err := time.Parse(time.RFC3339Nano, m.Meta.Wall)
	if err != nil {
		m.t.Fatal(err)
	}
	return fmt.Sprintf(`{"level":"info","ts":%q,"msg":"x"}`+"\n%s\n", wall.Add(time.Duration(at-m.Meta.Start)).Format(time.RFC3339Nano), rest)
}

var (
	lostWrite = history.Damage{Kind: "lose", Count: 2, What: "write of 4096 bytes at 512 lost"}
	flipped   = history.Damage{Kind: "flip", AtRest: true, Count: 1, What: "bit 3 of byte 9 of member/wal/0.wal flipped"}
	truncated = history.Damage{Kind: "truncate", AtRest: true, Count: 1, What: "member/wal/0.wal truncated"}
)

func TestDishonestDisksAreNotEtcds(t *testing.T) {
	const corrupt = `{"level":"warn","msg":"found hash mismatch"}`
	const fatal = `{"level":"fatal","msg":"failed to open WAL","error":"walpb: crc mismatch"}`
	for name, plant := range map[string]func(m *mutant) want{
		"a lost write, by a disk that lost one": func(m *mutant) want {
			m.put(history.OK, m.head()+1, "x")
			m.damage("m1", lostWrite)
			return want{check: "durability", result: Inconclusive, text: "the disk of m1 was dishonest (write of 4096 bytes at 512 lost), by this run's doing, which is not etcd's fault"}
		},
		"a lost write, with a truncated file": func(m *mutant) want {
			m.put(history.OK, m.head()+1, "x")
			m.damage("m1", truncated)
			return want{check: "durability", result: Inconclusive, text: "not etcd's fault"}
		},
		"a lost write, with a bit flipped at rest": func(m *mutant) want {
			o := m.put(history.OK, m.head()+1, "x")
			m.damage("m1", flipped)
			return want{check: "durability", op: o.ID}
		},
		"refused with its data damaged": func(m *mutant) want {
			m.Members[1].Log += m.logAt(m.damage("m2", flipped)+1e6, fatal)
			return want{result: Pass}
		},
		"refused with the data of another damaged": func(m *mutant) want {
			m.Members[1].Log += m.logAt(m.damage("m1", flipped)+1e6, fatal)
			return want{check: "etcd-checks", member: "m2", text: "gave up"}
		},
		"refused long after the repair": func(m *mutant) want {
			at := m.damage("m2", flipped)
			m.Events = append(m.Events, history.Event{Time: at + 1e6, Kind: history.EventRepaired, Round: 1, Member: "m2"})
			m.Members[1].Log += m.logAt(at+5e9, fatal)
			return want{check: "etcd-checks", result: Inconclusive, text: "the disk of m2 was dishonest"}
		},
		"the damage of another is found": func(m *mutant) want {
			m.Members[1].Log += m.logAt(m.damage("m1", flipped)+1e6, corrupt)
			return want{result: Pass}
		},
		"another store on the one with the damage": func(m *mutant) want {
			m.drop("m2", m.aPut().Revision)
			m.damage("m2", lostWrite)
			return want{check: "durability", result: Inconclusive, text: "the disk of m2"}
		},
		"clients were told of it": func(m *mutant) want {
			rev := m.head() + 1
			m.put(history.OK, rev, "x")
			b := m.put(history.OK, rev, "y")
			m.store("", record(rev, 0, b.Then[0]))
			m.damage("m1", lostWrite)
			return want{check: "order", op: b.ID}
		},
		"a power loss of a disk that lied": func(m *mutant) want {
			for i := range m.Events {
				if e := &m.Events[i]; e.Cut != nil {
					c := *e.Cut
					c.Lied = 3
					e.Cut = &c
					break
				}
			}
			return want{check: "faults", result: Inconclusive, text: "no honest power loss"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMutant(t, 300)
			w := plant(m)
			v := judge(t, write(t, m.Run), nil)
			if w.result == Pass {
				if v.Verdict != Pass {
					t.Error(show(v))
				}
				return
			}
			w.test(t, v)
			if w.check == "order" && !strings.Contains(check(v, "order").Detail, "clients were told what is not so") {
				t.Error(show(v))
			}
		})
	}
}
