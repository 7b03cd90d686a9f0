package rungen

import (
	"container/heap"
	"fmt"
	"math/rand/v2"

	"github.com/etcdlab/etcdlab/crash/history"
)

// Options say what run to make up.
type Options struct {
	Seed    uint64
	Members int // 0: 3
	Clients int // 0: 6
	Ops     int // 0: 600
	Keys    int // 0: 12
	Value   int // bytes; 0: 80
	Rounds  int // of power loss; 0: 2
	Base    int // revisions that others wrote before the run
	Foreign int // of a hundred operations, how many others do during the run, on keys of theirs
}

func (o *Options) defaults() {
	set := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	set(&o.Members, 3)
	set(&o.Clients, 6)
	set(&o.Ops, 600)
	set(&o.Keys, 12)
	set(&o.Value, 80)
	set(&o.Rounds, 2)
}

const (
	ms    = int64(1_000_000)
	start = int64(1_000_000_000_000) // of the run
)

// moment is something that happens at a time of the simulation.
type moment struct {
	at  int64
	seq int
	do  func()
}

type agenda []moment

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(m any)   { *a = append(*a, m.(moment)) }
func (a *agenda) Pop() any {
	old := *a
	m := old[len(old)-1]
	*a = old[:len(old)-1]
	return m
}

type sim struct {
	o      Options
	r      *rand.Rand
	run    *Run
	s      *store
	agenda agenda
	seq    int
	now    int64
	down   bool
	nextID uint64
	every  int              // operations in a round
	seen   map[string]int64 // mod revisions that clients learnt
}

func (s *sim) after(d int64, do func()) {
	s.seq++
	heap.Push(&s.agenda, moment{s.now + d, s.seq, do})
}

// client is one closed loop: it has at most one operation in flight.
func (s *sim) client(c int32) {
	if int(s.nextID) >= s.o.Ops {
		return
	}
	s.nextID++
	op := &history.Op{ID: s.nextID, Client: c, Invoke: s.now}
	s.request(op)
	next := func() {
		op.Return = s.now
		s.run.Ops = append(s.run.Ops, *op)
		s.after(s.r.Int64N(ms/4)+1, func() { s.client(c) })
	}
	lost := s.down || s.r.IntN(100) == 0
	took := s.r.Int64N(2*ms) + 2
	if lost {
		took += 10 * ms
	}
	switch {
	case lost:
		// A time-out: never applied, applied in time, or applied long after the
		// client gave up.
		unknown := func() {
			op.Outcome, op.Error = history.Unknown, "context deadline exceeded"
			op.Revision, op.Results, op.Succeeded = 0, nil, false
			next()
		}
		s.after(took, unknown)
		if fate := s.r.IntN(3); fate > 0 && writes(op) {
			s.after(s.r.Int64N(took*int64(fate*fate)), func() {
				ghost := *op // the answer reaches nobody
				s.apply(&ghost)
			})
		}
	case s.r.IntN(200) == 0:
		s.after(took, func() {
			op.Outcome, op.Error = history.Failed, "etcdserver: too many requests"
			next()
		})
	default:
		s.after(s.r.Int64N(took-1)+1, func() {
			s.answer(op)
			s.after(max(1, op.Invoke+took-s.now), next)
		})
	}
}

func writes(op *history.Op) bool {
	for _, r := range append(op.Then[:len(op.Then):len(op.Then)], op.Else...) {
		if r.Verb != history.Range {
			return true
		}
	}
	return false
}

func (s *sim) answer(op *history.Op) {
	op.Outcome, op.RaftTerm = history.OK, s.run.term
	m := s.run.Meta.Members[s.r.IntN(s.o.Members)]
	if op.Member == "" {
		op.MemberID = m.ID
	}
	if op.Kind == history.KindKV && op.Then[0].Serializable {
		s.s.applyAt(op, max(s.run.Meta.Base.Revision, s.s.rev-s.r.Int64N(6)))
	} else {
		s.apply(op)
	}
	for _, res := range op.Results {
		for _, kv := range res.KVs {
			s.seen[kv.Key] = kv.ModRevision
		}
	}
}

func (s *sim) apply(op *history.Op) {
	if writes(op) {
		s.run.propose(op)
	}
	s.s.apply(op)
}

func (s *sim) key() string { return s.keyN(s.r.IntN(s.o.Keys)) }
func (s *sim) keyN(n int) string {
	return fmt.Sprintf("%sk%06d", s.run.Meta.Prefix, n)
}

// request fills in what an operation asks for: the mix of crash/traffic, and
// some of what etcd's API has beyond it.
func (s *sim) request(op *history.Op) {
	key := s.key()
	value := func(n int) string { return history.Value(s.run.Meta.ID, op.Client, op.ID, n, s.o.Value) }
	put := func(key string, n int) history.Request {
		return history.Request{Verb: history.Put, Key: key, Value: value(n)}
	}
	get := history.Request{Verb: history.Range, Key: key}
	kv := func(r history.Request) { op.Then = []history.Request{r} }
	kind := s.r.IntN(100)
	switch {
	case kind < 40:
		kv(put(key, 0))
	case kind < 55:
		kv(get)
	case kind < 60:
		op.Member = s.run.Meta.Members[s.r.IntN(s.o.Members)].Name
		get.Serializable = true
		kv(get)
	case kind < 68:
		n := s.r.IntN(s.o.Keys)
		kv(history.Request{Verb: history.Range, Key: s.keyN(n), End: s.keyN(n + 5), Limit: int64(s.r.IntN(2) * 3), Serializable: s.r.IntN(2) == 0})
	case kind < 76:
		kv(history.Request{Verb: history.Delete, Key: key})
	case kind < 78:
		n := s.r.IntN(s.o.Keys)
		kv(history.Request{Verb: history.Delete, Key: s.keyN(n), End: s.keyN(n + 3)})
	case kind < 80:
		get.Revision = max(s.run.Meta.Base.Revision, s.s.rev-s.r.Int64N(20))
		kv(get)
	case kind < 90:
		op.Kind = history.KindTxn
		op.Compares = []history.Compare{{Key: key, Target: history.CompareMod, Result: history.Equal, Number: s.seen[key]}}
		op.Then = []history.Request{put(key, 0), get}
		op.Else = []history.Request{get}
	case kind < 95:
		op.Kind = history.KindTxn
		n := s.r.IntN(s.o.Keys)
		op.Then = []history.Request{{Verb: history.Range, Key: s.keyN(n)}, put(s.keyN(n), 1), put(s.keyN((n+1)%s.o.Keys), 2), {Verb: history.Range, Key: s.keyN(n)}}
	case kind < 98:
		op.Kind = history.KindTxn
		op.Compares = []history.Compare{{Key: key, Target: history.CompareVersion, Result: history.CompareResult(s.r.IntN(4)), Number: int64(s.r.IntN(4))}}
		op.Then = []history.Request{{Verb: history.Delete, Key: key}, get}
		op.Else = []history.Request{put(key, 0)}
	default:
		op.Kind = history.KindTxn
		op.Compares = []history.Compare{{Key: key, Target: history.CompareValue, Result: history.NotEqual, Value: value(7)}}
		all := history.Request{Verb: history.Range, Key: s.run.Meta.Prefix, End: PrefixEnd(s.run.Meta.Prefix)}
		if s.o.Keys > 100 {
			all.Limit = 10 // as traffic does; all of a thousand keys would be most of the history
		}
		op.Then, op.Else = []history.Request{get}, []history.Request{all}
	}
}
