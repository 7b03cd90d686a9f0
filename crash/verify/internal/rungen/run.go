package rungen

import (
	"container/heap"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/model"
)

// Run is a made-up run before it is written. Tests break it first.
type Run struct {
	Meta    history.Run
	Ops     []history.Op // in order of return
	Watches []history.WatchRecord
	Events  []history.Event
	Final   *history.Final
	Members []*Member
	NoEnd   bool // leave out the history's end mark

	term    uint64
	entries []Entry
}

// Member is one member's disk.
type Member struct {
	Name            string
	Records         []Record
	Entries         []Entry
	Commit          uint64 // of the last hard state
	ConsistentIndex uint64
	Term            uint64
	Snapshot        uint64 // index of the snapshot file and its WAL record; 0: none
	Scheduled       int64  // compaction
	Finished        int64
	Leases          map[int64]int64 // ID to TTL, seconds
	Log             string
	NoData          bool
}

// Entry is one raft entry.
type Entry struct {
	Term, Index uint64
	Data        []byte
}

// PrefixEnd is the end of the interval of all keys with a prefix.
func PrefixEnd(prefix string) string {
	return prefix[:len(prefix)-1] + string(prefix[len(prefix)-1]+1)
}

// Simulate makes up a run in which nothing went wrong.
func Simulate(o Options) *Run {
	o.defaults()
	r := rand.New(rand.NewPCG(o.Seed, 0x65746364))
	id := fmt.Sprintf("%016x", r.Uint64())
	run := &Run{term: 2, Meta: history.Run{
		ID: id, Scenario: "power-loss", Lab: "demo", Provider: "process", Etcd: "v3.7.3", Seed: o.Seed,
		Rounds: o.Rounds, Fault: "power-loss", Target: "all", Policy: "drop", Clients: o.Clients,
		Prefix: "/etcdlab/" + id + "/", Start: start, Wall: "2026-01-02T03:04:05Z",
	}}
	for i := range o.Members {
		run.Meta.Members = append(run.Meta.Members, history.Member{Name: fmt.Sprintf("m%d", i+1), ID: uint64(i) + 1<<40})
		run.entries = append(run.entries, Entry{Term: 1, Index: uint64(i) + 1})
	}
	s := &sim{
		o: o, r: r, run: run, s: &store{State: model.New(), keep: o.recorded()}, now: start, seen: make(map[string]int64),
		every: o.Ops / (max(o.Rounds, 0) + 1), slow: 1, leases: make(map[int64]*lease), away: make(map[string]bool), active: o.Clients,
	}
	for i := range o.Base {
		s.foreign(i)
	}
	run.Meta.Base.Revision = s.s.Revision
	run.event(s.now, history.Event{Kind: history.EventRunStart})
	s.begin()
	for c := range o.Clients {
		s.after(r.Int64N(ms), func() { s.client(int32(c)) })
	}
	for round := 1; s.agenda.Len() > 0; {
		m := heap.Pop(&s.agenda).(moment)
		s.now = m.at
		m.do()
		if o.Foreign > r.IntN(100) {
			s.foreign(int(s.now))
		}
		if o.Restarts > 0 && s.nextID > 0 && r.IntN(o.Ops) < o.Restarts {
			s.restart()
		}
		if round <= o.Rounds && int(s.nextID) >= round*s.every && !s.down {
			s.powerLoss(round)
			round++
		}
	}
	run.finish(s)
	return run
}

// begin sets up what the newer options ask for.
func (s *sim) begin() {
	o := &s.o
	if !o.recorded() {
		return
	}
	s.draw = s.drawer()
	if o.Leases > 0 {
		s.slow = 200
	}
	if s.run.Meta.ClockUncertainty = o.Skew; o.Skew > 0 {
		for range 16 {
			s.skew = append(s.skew, s.r.Int64N(o.Skew+1)-o.Skew/2)
		}
	}
	s.watchers()
}

// foreign is a user of the same lab, with keys before and after the run's own.
func (s *sim) foreign(n int) {
	key := fmt.Sprintf("/app/%d", n%7)
	if n%2 == 0 {
		key = fmt.Sprintf("/zzz/%d", n%7)
	}
	op := &history.Op{Then: []history.Request{{Verb: history.Put, Key: key, Value: fmt.Sprint(n)}}}
	if n%5 == 0 {
		op.Then = []history.Request{{Verb: history.Delete, Key: key}}
	}
	_ = s.apply(op) // it cannot be refused
}

func (r *Run) event(at int64, e history.Event) {
	e.Time = at
	r.Events = append(r.Events, e)
}

// powerLoss takes all members down for 30 ms.
func (s *sim) powerLoss(round int) {
	s.down = true
	t := s.now
	run := s.run
	run.event(t, history.Event{Kind: history.EventRoundStart, Round: round})
	each := func(at int64, e history.Event) {
		for _, m := range run.Meta.Members {
			e.Round, e.Member = round, m.Name
			run.event(at, e)
		}
	}
	each(t, history.Event{Kind: history.EventFrozen})
	each(t, history.Event{Kind: history.EventLinkDown})
	each(t, history.Event{Kind: history.EventCut, Cut: &history.Cut{Policy: "drop", Uncovered: 2, Dropped: 2}})
	each(t+ms, history.Event{Kind: history.EventKilled})
	up := func() {
		s.down = false
		s.promoted()
		run.term++
		run.entries = append(run.entries, Entry{Term: run.term, Index: run.lastIndex() + 1})
		each(s.now-20*ms, history.Event{Kind: history.EventMounted})
		each(s.now-10*ms, history.Event{Kind: history.EventStarted})
		each(s.now, history.Event{Kind: history.EventServing})
		run.event(s.now, history.Event{Kind: history.EventRoundEnd, Round: round, Figures: &history.Figures{
			Fault: "power-loss", Policy: "drop", Clients: s.o.Clients, Uncovered: 2 * s.o.Members, Dropped: 2 * s.o.Members,
			Observed: true, RecoveryNS: 10 * ms, RoundNS: 30 * ms,
		}})
	}
	s.after(30*ms, up)
}

func (r *Run) lastIndex() uint64 {
	return r.entries[len(r.entries)-1].Index
}

func (r *Run) finish(s *sim) {
	s.drain()
	records, leases := s.s.records, make(map[int64]int64)
	for _, id := range s.s.Leases() {
		leases[id] = s.s.TTL(id)
	}
	if s.s.Compacted > 0 {
		records = nil
		for _, m := range model.Compact(s.s.told, s.s.Compacted) {
			x := Record{Main: m.Main, Sub: m.Sub, Tombstone: m.Tombstone, KV: m.KV}
			if m.Tombstone {
				x.KV = history.KV{Key: m.KV.Key}
			}
			records = append(records, x)
		}
	}
	r.event(s.now+ms, history.Event{Kind: history.EventRunEnd})
	sort.SliceStable(r.Events, func(i, j int) bool { return r.Events[i].Time < r.Events[j].Time })
	r.Final = &history.Final{Time: s.now + ms}
	for _, m := range r.Meta.Members {
		r.Members = append(r.Members, &Member{
			Name: m.Name, Records: records, Scheduled: s.s.Compacted, Finished: s.s.Compacted, Leases: leases, Entries: r.entries, Commit: r.lastIndex(), Term: r.term,
			ConsistentIndex: r.lastIndex(), Snapshot: min(20, r.lastIndex()),
			Log: `{"level":"info","ts":"2026-01-02T03:04:05Z","msg":"ready to serve client requests"}` + "\n",
		})
		r.Final.Members = append(r.Final.Members, history.FinalMember{
			Name: m.Name, Serving: true, Data: "frozen", RaftTerm: r.term, RaftIndex: r.lastIndex(),
			AppliedIndex: r.lastIndex(), Leader: r.Meta.Members[0].ID,
		})
	}
	r.Refresh()
}

// Refresh makes final.json say what the members' records are: the answers of a
// live cluster that holds them.
func (r *Run) Refresh() {
	for i, m := range r.Members {
		f := &r.Final.Members[i]
		f.Revision = max(1, m.Finished, m.Scheduled)
		if n := len(m.Records); n > 0 {
			f.Revision = max(f.Revision, m.Records[n-1].Main)
		}
		f.HashRevision, f.CompactRevision = f.Revision, -1
		if m.Finished > 0 {
			f.CompactRevision = m.Finished
		}
		f.Hash = crc32.Checksum([]byte("key"), crc32.MakeTable(crc32.Castagnoli))
		for j := range m.Records {
			if m.Records[j].Tombstone && m.Records[j].Main == m.Finished {
				continue // kept by some releases and not by others, so etcd leaves it out
			}
			k, v := m.Records[j].bytes()
			f.Hash = crc32.Update(f.Hash, crc32.MakeTable(crc32.Castagnoli), k)
			f.Hash = crc32.Update(f.Hash, crc32.MakeTable(crc32.Castagnoli), v)
		}
	}
}

// Op is the operation with an ID.
func (r *Run) Op(id uint64) *history.Op {
	i := slices.IndexFunc(r.Ops, func(o history.Op) bool { return o.ID == id })
	return &r.Ops[i]
}

// Edit lets every member's records be changed, or those of one if named; the
// live answers follow.
func (r *Run) Edit(member string, change func(recs []Record) []Record) {
	for _, m := range r.Members {
		if member == "" || m.Name == member {
			m.Records = change(slices.Clone(m.Records))
		}
	}
	r.Refresh()
}
