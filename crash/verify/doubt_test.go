package verify

import (
	"slices"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

func (m *mutant) figures(f func(*history.Figures, *history.Cut)) {
	for i := range m.Events {
		if e := &m.Events[i]; e.Cut != nil {
			f(&history.Figures{}, e.Cut)
		} else if e.Figures != nil {
			f(e.Figures, &history.Cut{})
		}
	}
}

// lastWrites drops the last records from a member and says how far it goes.
func (m *mutant) behind(member string, n int) {
	m.Edit(member, func(recs []rungen.Record) []rungen.Record { return recs[:len(recs)-n] })
	for _, x := range m.Members {
		if x.Name == member {
			x.ConsistentIndex -= uint64(n) + 5
		}
	}
}

func (m *mutant) down(names ...string) {
	for i := range m.Final.Members {
		f := &m.Final.Members[i]
		if slices.Contains(names, f.Name) {
			*f = history.FinalMember{Name: f.Name, Error: "connection refused", Data: "stopped"}
		}
	}
	last := 0
	for i, e := range m.Events {
		if e.Kind == history.EventCut {
			last = i
		}
	}
	m.Events = slices.DeleteFunc(m.Events, func(e history.Event) bool {
		return e.Kind == history.EventServing && e.Time > m.Events[last].Time && slices.Contains(names, e.Member)
	})
}

// cases are runs that lack evidence, that etcd itself complained of, or that
// must pass in spite of what happened.
var cases = map[string]func(m *mutant) want{
	"no end mark": func(m *mutant) want {
		m.NoEnd = true
		return want{check: "durability", result: Inconclusive, text: "the history ends early"}
	},
	"no acknowledged write": func(m *mutant) want {
		m.Ops = slices.DeleteFunc(m.Ops, func(o history.Op) bool { return true })
		m.Edit("", func(recs []rungen.Record) []rungen.Record {
			return slices.DeleteFunc(recs, func(r rungen.Record) bool { return r.Main > m.Meta.Base.Revision })
		})
		return want{check: "durability", result: Inconclusive, text: "no write was acknowledged"}
	},
	"power loss that lost nothing": func(m *mutant) want {
		m.figures(func(f *history.Figures, _ *history.Cut) { f.Dropped, f.Torn = 0, 0 })
		return want{check: "faults", result: Inconclusive, text: "proves nothing"}
	},
	"one round that lost nothing": func(m *mutant) want {
		n := 0
		m.figures(func(f *history.Figures, _ *history.Cut) {
			if f.Observed {
				if n++; n == 2 {
					f.Dropped, f.Torn, f.Uncovered = 0, 0, 0
				}
			}
		})
		return want{check: "faults", result: Inconclusive, text: "round 2"}
	},
	"policy keep": func(m *mutant) want {
		m.figures(func(f *history.Figures, c *history.Cut) { f.Dropped, c.Policy = 0, "keep" })
		return want{check: "faults", result: Inconclusive, text: "by its policy"}
	},
	"torn only": func(m *mutant) want {
		m.figures(func(f *history.Figures, _ *history.Cut) { f.Dropped, f.Torn = 0, 1 })
		return want{result: Pass}
	},
	"fault not observed": func(m *mutant) want {
		m.Meta.Fault = "kill"
		m.figures(func(f *history.Figures, _ *history.Cut) { f.Fault, f.Observed = "kill", false })
		return want{check: "faults", result: Inconclusive, text: "no fault was seen"}
	},
	"rounds missing": func(m *mutant) want {
		m.Meta.Rounds = 5
		return want{check: "faults", result: Inconclusive, text: "2 of 5"}
	},
	"round without an end": func(m *mutant) want {
		m.Events = slices.DeleteFunc(m.Events, func(e history.Event) bool { return e.Kind == history.EventRoundEnd && e.Round == 2 })
		return want{check: "faults", result: Inconclusive, text: "did not end"}
	},
	"no events": func(m *mutant) want {
		m.Events = nil
		return want{check: "faults", result: Inconclusive, text: "no round"}
	},
	"never recovered": func(m *mutant) want {
		m.down("m2")
		m.Members[1].Log += `{"level":"error","msg":"cannot open the db"}` + "\n"
		return want{check: "recovery", member: "m2", text: "cannot open the db", only: true}
	},
	"not serving at the end": func(m *mutant) want {
		m.Final.Members[2].Serving, m.Final.Members[2].Error = false, "linearizable read: deadline exceeded"
		return want{check: "recovery", member: "m3", text: "deadline exceeded", only: true}
	},
	"no load after recovery": func(m *mutant) want {
		m.Events = append(m.Events, history.Event{Time: m.now, Kind: history.EventNotServing, Round: 2, Message: "10 acknowledged in 1m0s"})
		return want{check: "recovery", text: "took no load after round 2", only: true}
	},
	"half a copy": func(m *mutant) want {
		m.Final.Members[1].Data, m.Final.Members[1].DataError = "", "copy the data of m2: unexpected EOF"
		return want{check: "disk", result: Inconclusive, text: "unexpected EOF"}
	},
	"cluster down, write on a disk": func(m *mutant) want {
		m.down("m2", "m3")
		rev := m.head() + 1
		o := m.put(history.OK, rev, "x")
		m.store("m3", record(rev, 0, o.Then[0]))
		m.Final.Members[2] = history.FinalMember{Name: "m3", Error: "connection refused", Data: "stopped"}
		m.Members[2].ConsistentIndex++
		e := m.Members[2].Entries[0]
		e.Index, e.Term = m.Members[2].ConsistentIndex, m.Members[2].Term
		m.Members[2].Entries = append(slices.Clip(m.Members[2].Entries), e)
		return want{check: "recovery", member: "m2", only: true}
	},
	"cluster down, a write and its delete beyond the stores": func(m *mutant) want {
		m.down("m2", "m3")
		m.Final.Members[2].Data, m.Final.Members[2].DataError = "", "copy the data of m3: unexpected EOF"
		m.put(history.OK, m.head()+1, "x")
		o := m.op(history.OK, m.head()+2, history.Request{Verb: history.Delete, Key: m.key("x")})
		o.Results[0].Deleted = 1
		return want{check: "recovery", member: "m2", only: true}
	},
	"cluster down, write on no disk": func(m *mutant) want {
		m.down("m2", "m3")
		o := m.put(history.OK, m.head()+1, "x")
		return want{check: "durability", op: o.ID, rev: o.Revision, text: "the newest revision is"}
	},
	"quorum serves without the write, a dead disk has it": func(m *mutant) want {
		rev := m.head() + 1
		o := m.put(history.OK, rev, "x")
		m.store("m2", record(rev, 0, o.Then[0]))
		m.down("m2")
		return want{check: "durability", op: o.ID, rev: rev, text: "the store of m2 has it"}
	},
	"a dead member behind": func(m *mutant) want {
		m.behind("m2", 10)
		m.down("m2")
		return want{check: "recovery", member: "m2", only: true}
	},
	"alarm": func(m *mutant) want {
		m.Final.Members[0].Alarms = []string{"CORRUPT on member 5"}
		return want{check: "etcd-checks", text: "CORRUPT on member 5", only: true}
	},
	"panic": func(m *mutant) want {
		m.Members[1].Log += "panic: tocommit(107) is out of range [lastIndex(84)]. Was the raft log corrupted, truncated, or lost?\n\ngoroutine 1 [running]:\n"
		return want{check: "etcd-checks", member: "m2", text: "tocommit(107)", only: true}
	},
	"fatal": func(m *mutant) want {
		m.Members[1].Log += `{"level":"fatal","msg":"failed to read WAL, cannot be repaired"}` + "\n"
		return want{check: "etcd-checks", member: "m2", text: "cannot be repaired", only: true}
	},
	"hash mismatch": func(m *mutant) want {
		m.Members[2].Log += `{"level":"warn","msg":"found hash mismatch","revision-1":5}` + "\n"
		return want{check: "etcd-checks", member: "m3", text: "found hash mismatch", only: true}
	},
	"data race": func(m *mutant) want {
		m.Members[2].Log += "==================\nWARNING: DATA RACE\n"
		return want{check: "etcd-checks", member: "m3", text: "data race", only: true}
	},
	"EIO that nobody injected": func(m *mutant) want {
		m.Members[2].Log += `{"level":"fatal","msg":"failed to save","error":"sync: input/output error"}` + "\n"
		return want{check: "etcd-checks", result: Inconclusive, text: "the disk of m3 failed", only: true}
	},
	"deaths in an earlier run": func(m *mutant) want {
		for _, x := range m.Members {
			x.Log = `{"level":"fatal","ts":"2026-01-02T03:04:04.999Z","msg":"failed to save","error":"input/output error"}` +
				"\npanic: of that time\n" + x.Log
		}
		return want{result: Pass}
	},
	"panic after an earlier run": func(m *mutant) want {
		m.Members[1].Log = `{"level":"info","ts":"2026-01-02T03:04:04.999+0000","msg":"x"}` + "\npanic: then\n" +
			`{"level":"info","ts":"2026-01-02T04:04:06.000+0100","msg":"x"}` + "\npanic: now\n"
		return want{check: "etcd-checks", member: "m2", text: "line 4 of its log: panic: now", only: true}
	},
	"expected deaths": func(m *mutant) want {
		m.Meta.Fault = "io-error"
		m.Members[0].Log += "panic: failpoint panic: {}\n\tpanic: failpoint panic: again\n"
		m.Members[1].Log += `{"level":"panic","msg":"failed to save snapshot","error":"sync: input/output error"}` + "\npanic: failed to save snapshot\n"
		m.Members[2].Log += `{"level":"fatal","msg":"failed to save","error":"sync: input/output error"}` + "\n"
		return want{result: Pass}
	},
	"db ahead of its log": func(m *mutant) want {
		m.Members[1].ConsistentIndex++
		return want{check: "disk", member: "m2", text: "but the log ends at entry", only: true}
	},
	"snapshot ahead of the db": func(m *mutant) want {
		m.Members[2].Snapshot = m.Members[2].ConsistentIndex - 3
		m.behind("m3", 9)
		m.down("m3")
		return want{check: "disk", member: "m3", text: "the log begins from the snapshot"}
	},
	"commit index lags": func(m *mutant) want {
		for _, x := range m.Members {
			x.Commit -= 30
		}
		return want{result: Pass}
	},
	"foreign value on a key": func(m *mutant) want {
		m.store("", record(m.head()+1, 0, history.Request{Key: m.key("x"), Value: "hello"}))
		return want{check: "durability", result: Inconclusive, text: "written by others"}
	},
	"value of another run": func(m *mutant) want {
		m.store("", record(m.head()+1, 0, history.Request{Key: m.key("x"), Value: history.Value("fedcba9876543210", 1, 2, 0, 80)}))
		return want{check: "durability", result: Inconclusive, text: "written by others"}
	},
	"foreign put before the run": func(m *mutant) want { return want{result: Pass} },
	"foreign delete of a key": func(m *mutant) want {
		rev := m.head()
		x := m.put(history.OK, rev+1, "x").Then[0]
		m.store("", record(rev+1, 0, x), rungen.Record{Main: rev + 2, Tombstone: true, KV: history.KV{Key: x.Key}})
		m.Propose(history.Op{Then: []history.Request{{Verb: history.Delete, Key: x.Key}}})
		return want{check: "durability", result: Inconclusive, text: "written by others"}
	},
	"foreign delete of everything": func(m *mutant) want {
		rev := m.head()
		x := m.put(history.OK, rev+1, "x").Then[0]
		m.store("", record(rev+1, 0, x), rungen.Record{Main: rev + 2, Tombstone: true, KV: history.KV{Key: "/app/1"}},
			rungen.Record{Main: rev + 2, Sub: 1, Tombstone: true, KV: history.KV{Key: x.Key}})
		return want{check: "durability", result: Inconclusive, text: "written by others"}
	},
	"unknown delete": func(m *mutant) want {
		rev := m.head()
		x := m.put(history.OK, rev+1, "x").Then[0]
		m.op(history.Unknown, 0, history.Request{Verb: history.Delete, Key: x.Key})
		m.store("", record(rev+1, 0, x), rungen.Record{Main: rev + 2, Tombstone: true, KV: history.KV{Key: x.Key}})
		return want{result: Pass}
	},
	"write in the log only": func(m *mutant) want {
		o := m.put(history.OK, m.head()+1, "x")
		m.Propose(*o)
		for _, x := range m.Members {
			x.ConsistentIndex--
		}
		return want{check: "durability", result: Inconclusive, text: "only in a serving member's log"}
	},
	"compacted in the run": func(m *mutant) want {
		m.compact(m.head() - 20)
		return want{check: "durability", result: Inconclusive, text: "compacted"}
	},
	"compacted before the run": func(m *mutant) want {
		m.compact(m.Meta.Base.Revision)
		return want{result: Pass}
	},
	"compacted differently": func(m *mutant) want {
		m.compact(m.Meta.Base.Revision)
		m.Final.Members[1].CompactRevision, m.Final.Members[1].Hash = 3, 77
		return want{check: "member-hash", result: Inconclusive, text: "differ by right"}
	},
	"malformed answer": func(m *mutant) want {
		m.aGet().Results = nil
		return want{check: "durability", result: Error, text: "answers to"}
	},
	"an operation twice": func(m *mutant) want {
		m.Ops = append(m.Ops, m.Ops[5])
		return want{check: "order", result: Error, text: "in it twice"}
	},
	"member not in the final state": func(m *mutant) want {
		m.Final.Members = m.Final.Members[:2]
		m.Members[2].NoData = true
		return want{check: "member-hash", result: Inconclusive, text: "does not have m3"}
	},
}

// compact removes superseded records as etcd does: up to a revision only the
// newest of each key stays, and no tombstones.
func (m *mutant) compact(rev int64) {
	newest := make(map[string]int64)
	for _, r := range m.Members[0].Records {
		if r.Main <= rev {
			newest[r.KV.Key] = r.Main*1000 + r.Sub
		}
	}
	m.Edit("", func(recs []rungen.Record) []rungen.Record {
		return slices.DeleteFunc(recs, func(r rungen.Record) bool {
			return r.Main <= rev && (r.Tombstone || newest[r.KV.Key] != r.Main*1000+r.Sub)
		})
	})
	for _, x := range m.Members {
		x.Scheduled, x.Finished = rev, rev
	}
	m.Refresh()
}

func TestCases(t *testing.T) {
	for name, brk := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(3) {
				m := newMutant(t, seed+200)
				w := brk(m)
				v := judge(t, write(t, m.Run), nil)
				if w.result == Pass {
					if v.Verdict != Pass {
						t.Fatal(show(v))
					}
					continue
				}
				w.test(t, v)
			}
		})
	}
}
