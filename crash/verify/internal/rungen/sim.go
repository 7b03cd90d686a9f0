package rungen

import (
	"container/heap"
	"errors"
	"math/rand/v2"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/model"
)

// Options say what run to make up.
type Options struct {
	Seed    uint64
	Members int // 0: 3
	Clients int // 0: 6
	Ops     int // 0: 600
	Keys    int // 0: 12
	Value   int // bytes; 0: 80
	Rounds  int // of power loss; 0: 2, below: none
	Base    int // revisions that others wrote before the run
	Foreign int // of a hundred operations, how many others do during the run, on keys of theirs

	Sure bool // no time-outs but those of power loss, and no refusals

	// What follows is off by default; with any of it on, every member has a
	// recorder.
	Wide bool // nested transactions, every option of ranges, previous values
	// Odd is of Wide what etcd does by chance: ranges sorted by something but in no
	// order, and transactions that a member answers from what it has, which it
	// does if both sides are serializable reads, whichever runs.
	Odd      bool
	Leases   int   // of a hundred operations, how many concern leases
	Compact  int   // of a thousand operations, how many compact
	Watches  int   // of clients, each of another kind
	Restarts int   // of single members: so many of as many moments as there are operations
	Skew     int64 // how far clients' clocks are apart, nanoseconds
}

func (o *Options) recorded() bool {
	return o.Wide || o.Leases > 0 || o.Compact > 0 || o.Watches > 0 || o.Restarts > 0 || o.Skew > 0
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
	draw   *model.Drawer
	slow   int64 // of clients' pauses, so that leases end within the run
	leases map[int64]*lease
	ids    []int64         // of leases, as granted
	skew   []int64         // of clients' clocks
	away   map[string]bool // members that are restarting
	tapes  []*watch
	active int // clients that go on
	lags   lags
}

func (s *sim) after(d int64, do func()) {
	s.seq++
	heap.Push(&s.agenda, moment{s.now + d, s.seq, do})
}

// client is one closed loop: it has at most one operation in flight.
func (s *sim) client(c int32) {
	if int(s.nextID) >= s.o.Ops {
		s.active--
		return
	}
	s.nextID++
	op := &history.Op{ID: s.nextID, Client: c, Invoke: s.now}
	s.request(op)
	next := func() {
		op.Return = s.now
		op.Invoke += s.skewOf(c)
		op.Return += s.skewOf(c)
		s.run.Ops = append(s.run.Ops, *op)
		s.after(s.r.Int64N(ms/4*s.slow)+1, func() { s.client(c) })
	}
	lost := s.down || s.away[op.Member] || s.r.IntN(100) == 0 && !s.o.Sure
	invoked := s.now
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
			next()
		}
		s.after(took, unknown)
		if fate := s.r.IntN(3); fate > 0 && writes(op) {
			ghost := *op // the answer reaches nobody
			s.after(s.r.Int64N(took*int64(fate*fate)), func() { _ = s.apply(&ghost) })
		}
	case s.r.IntN(200) == 0 && !s.o.Sure:
		s.after(took, func() {
			op.Outcome, op.Error = history.Failed, "etcdserver: too many requests"
			next()
		})
	default:
		s.after(s.r.Int64N(took-1)+1, func() {
			s.answer(op)
			s.after(max(1, invoked+took-s.now), next)
		})
	}
}

// writes says whether etcd puts an operation into its log.
func writes(op *history.Op) bool {
	switch op.Kind {
	case history.KindKV, history.KindTxn:
	case history.KindCompact, history.KindLeaseGrant, history.KindLeaseRevoke:
		return true
	default:
		return false
	}
	for _, r := range append(op.Then[:len(op.Then):len(op.Then)], op.Else...) {
		if r.Verb != history.Range {
			return true
		}
	}
	return false
}

// serializable says whether a member answers from what it has.
func serializable(op *history.Op) bool {
	if op.Kind > history.KindTxn {
		return false
	}
	for _, r := range append(op.Then[:len(op.Then):len(op.Then)], op.Else...) {
		if r.Verb != history.Range || !r.Serializable {
			return false
		}
	}
	return true
}

func (s *sim) answer(op *history.Op) {
	op.Outcome, op.RaftTerm = history.OK, s.run.term
	m := s.run.Meta.Members[s.r.IntN(s.o.Members)]
	if op.Member == "" {
		op.MemberID = m.ID
	}
	var err error
	if op.Kind == history.KindKV && op.Then[0].Serializable || s.o.Odd && serializable(op) {
		err = s.s.applyAt(op, s.lag(op, m.Name, s.s.Revision-s.r.Int64N(6)))
	} else {
		err = s.apply(op)
		s.lag(op, m.Name, s.s.Revision)
	}
	if err != nil {
		op.Outcome, op.Error, op.RaftTerm, op.MemberID = history.Failed, err.Error(), 0, 0
		if errors.Is(err, errNoAnswer) {
			op.Outcome = history.Unknown
		}
	}
	for _, res := range op.Results {
		for _, kv := range res.KVs {
			s.seen[kv.Key] = kv.ModRevision
		}
	}
}

// apply runs an operation on the store. The error is a refusal, which etcd may
// give only as it applies what its log has.
func (s *sim) apply(op *history.Op) error {
	if writes(op) {
		s.run.propose(op)
	}
	if op.Kind > history.KindTxn {
		return s.call(op)
	}
	return s.s.apply(op)
}

func (s *sim) skewOf(client int32) int64 {
	if len(s.skew) == 0 {
		return 0
	}
	return s.skew[int(client)%len(s.skew)]
}
