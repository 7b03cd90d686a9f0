package report

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

const ms = int64(1e6)

// sample is a made-up run, as a crash of this shape would record it.
type sample struct {
	members   []string
	rounds    int
	perSecond int // operations
	fault     string
	lasting   int64 // ns, of the load between two rounds
	lost      bool  // the last member never serves again
	result    verify.Result

	run    history.Run
	events []history.Event
	ops    []history.Op
	final  *history.Final
}

func (s *sample) build() *sample {
	rnd := rand.New(rand.NewPCG(7, 7))
	const start = int64(91_000_000_000_000)
	s.run = history.Run{
		ID: "5f0c2a9e41d77b13", Scenario: s.fault, Lab: "demo", Provider: "process", Etcd: "v3.7.3",
		Binary: "etcd-v3.7.3-linux-amd64-3f9c1d2e7a", FS: "ext4", Profile: "honest-512", Seed: 1729, Rounds: s.rounds,
		Fault: s.fault, Target: "all", Policy: "mixed", Clients: 16, Prefix: "etcdlab/5f0c2a9e41d77b13/", Start: start,
		Wall: "2025-11-22T10:57:03.25Z", Base: history.Base{Revision: 1}, Tool: "v0.1.0", Kernel: "6.18.0",
		Command: "etcdlab run " + s.fault + " --etcd v3.7.3 --fs ext4 --members 3 --seed 1729 --rounds " + fmt.Sprint(s.rounds),
	}
	for i, m := range s.members {
		s.run.Members = append(s.run.Members, history.Member{Name: m, ID: 0x8211f1d0f64f3269 + uint64(i),
			ClientURL: fmt.Sprintf("http://198.18.0.%d:2379", i+2),
			Args:      []string{"etcd", "--name=" + m, "--data-dir=/disk/data", "--heartbeat-interval=5", "--election-timeout=50", "--snapshot-count=100"}})
	}
	now := start
	add := func(e history.Event) { e.Time = now; s.events = append(s.events, e) }
	add(history.Event{Kind: history.EventRunStart})
	load := func(length int64, every func() history.Op) {
		end := now + length
		for t := now; ; {
			t += int64(float64(1e9/s.perSecond) * (0.5 + rnd.Float64()))
			if t >= end {
				break
			}
			op := every()
			op.ID, op.Client, op.Invoke, op.Return = uint64(len(s.ops)+1), int32(len(s.ops)%16), t-2*ms, t
			s.ops = append(s.ops, op)
		}
		now = end
	}
	fine := func() history.Op {
		r := history.Request{Verb: history.Put, Key: "k", Value: "v"}
		if rnd.IntN(4) == 0 {
			r.Verb = history.Range
		}
		return history.Op{Outcome: history.OK, Then: []history.Request{r}, Results: []history.Result{{}}}
	}
	policies := []string{"drop", "random", "torn", "prefix", "keep"}
	for n := 1; n <= s.rounds; n++ {
		s.round(n, policies[(n-1)%len(policies)], rnd, &now, add, load, fine)
	}
	load(s.lasting, fine)
	add(history.Event{Kind: history.EventRunEnd})
	s.final = &history.Final{Time: now}
	for i, m := range s.members {
		f := history.FinalMember{Name: m, Serving: true, Revision: 9214, RaftTerm: 7, RaftIndex: 9391, AppliedIndex: 9391,
			HashRevision: 9214, Hash: 0x9f2ce1d4, Data: "frozen"}
		if s.lost && i == len(s.members)-1 {
			f = history.FinalMember{Name: m, Error: "dial tcp: connection refused", DataError: "not mounted"}
		}
		s.final.Members = append(s.final.Members, f)
	}
	return s
}

func (s *sample) round(n int, policy string, rnd *rand.Rand, now *int64, add func(history.Event), load func(int64, func() history.Op), fine func() history.Op) {
	begin := *now
	event := func(k history.EventKind, m, text string) {
		add(history.Event{Kind: k, Round: n, Member: m, Message: text})
	}
	event(history.EventRoundStart, "", "")
	load(s.lasting, fine)
	f := history.Figures{Fault: s.fault, Targets: s.members, Clients: 16, PerSecond: float64(s.perSecond) * (.9 + .2*rnd.Float64()), Observed: true}
	power := s.fault == "power-loss"
	if !power {
		event(history.EventFault, s.members[0], "armed: panic at raftBeforeSave")
		*now += 30 * ms
	}
	for _, m := range s.members {
		if power {
			event(history.EventHeld, m, "")
			*now += 20 * ms
			*now += 4 * ms
			add(history.Event{Kind: history.EventFrozen, Round: n, Member: m, Message: "every task seen frozen (freezer v2)", Duration: 4 * ms})
			c := &history.Cut{Policy: policy, Seed: rnd.Uint64(), Profile: "honest-512", Position: uint64(n * 900), Flushes: 310, Writes: 480, Held: 1, Uncovered: 2 + rnd.IntN(6)}
			switch policy {
			case "keep":
			case "torn":
				c.Torn = 1
				c.Dropped = c.Uncovered / 2
			default:
				c.Dropped = c.Uncovered - c.Uncovered/3
			}
			c.Kept = c.Uncovered - c.Dropped - c.Torn
			f.Policy, f.Uncovered, f.Dropped, f.Torn = policy, f.Uncovered+c.Uncovered, f.Dropped+c.Dropped, f.Torn+c.Torn
			add(history.Event{Kind: history.EventCut, Round: n, Member: m, Cut: c})
		} else {
			event(history.EventExited, m, "panic: failpoint raftBeforeSave")
		}
		event(history.EventKilled, m, "")
	}
	refused := func() history.Op {
		o := history.Op{Outcome: history.Unknown, Error: "context deadline exceeded"}
		if rnd.IntN(3) == 0 {
			o.Outcome = history.Failed
		}
		f.Failed++
		return o
	}
	full := s.perSecond
	s.perSecond = 60
	load(200*ms, refused)
	for i, m := range s.members {
		if s.lost && i == len(s.members)-1 && n == s.rounds {
			event(history.EventNotServing, m, "no answer within 30 s")
			continue
		}
		if power {
			load(55*ms, refused)
			add(history.Event{Kind: history.EventRestored, Round: n, Member: m, Duration: 55 * ms})
			add(history.Event{Kind: history.EventMounted, Round: n, Member: m, Duration: 48 * ms})
		}
		event(history.EventStarted, m, "")
		load(int64(90+rnd.IntN(120))*ms, refused)
		event(history.EventServing, m, "")
	}
	s.perSecond = full
	load(s.lasting, fine)
	f.RecoveryNS, f.RoundNS, f.Operations = int64(200+rnd.IntN(400))*ms, *now-begin, 1000
	add(history.Event{Kind: history.EventRoundEnd, Round: n, Figures: &f})
}

func (s *sample) acked() string {
	var l Load
	l.Start = s.run.Start
	for i := range s.ops {
		l.Add(&s.ops[i])
	}
	return number(l.Writes)
}

func (s *sample) verdict() *verify.Verdict {
	v := &verify.Verdict{Verdict: s.result, Run: s.run.ID, Scenario: s.run.Scenario, Etcd: s.run.Etcd, Provider: s.run.Provider,
		Seed: s.run.Seed, Operations: len(s.ops), Faults: s.rounds}
	check := func(name, detail string, r verify.Result, e ...verify.Evidence) {
		v.Checks = append(v.Checks, verify.Check{Name: name, Verdict: r, Detail: detail, Evidence: e})
	}
	at := s.run.Start + 1900*ms
	switch s.result {
	case verify.Fail:
		v.Reason = "durability: put acknowledged at revision 4021 is missing: the recovered store ends at revision 4020"
		check("durability", "3 of "+s.acked()+" acknowledged writes are missing from the recovered store", verify.Fail,
			verify.Evidence{Message: "put acknowledged at revision 4021 is missing: the recovered store ends at revision 4020", Operation: 4188, Client: 3, Member: "m1", Revision: 4021, Time: at, Keys: []string{"etcdlab/5f0c2a9e41d77b13/c3/17"}},
			verify.Evidence{Message: "put acknowledged at revision 4022 is missing", Operation: 4190, Client: 9, Member: "m1", Revision: 4022, Time: at + 8*ms, Keys: []string{"etcdlab/5f0c2a9e41d77b13/c9/4"}})
		v.Checks[0].Total = 3
	case verify.Inconclusive:
		v.Reason = "no power loss lost anything: every un-flushed write was kept, which proves nothing"
		check("durability", s.acked()+" acknowledged writes are present, but no cut lost a write", verify.Inconclusive)
	case verify.Error:
		v.Reason = "m1's data directory cannot be judged: the judge ended with a fault while it read db"
		check("durability", "not judged: there is no store to compare with", verify.Error,
			verify.Evidence{Message: "inspect-data: exit status 2: unexpected fault address 0x7f21c4000000\nfatal error: fault", Member: "m1"})
	default:
		check("durability", s.acked()+" acknowledged writes are present, each exactly once, at its revision", verify.Pass)
	}
	check("order", "revisions respect real time; reads show the state at their revision", verify.Pass)
	check("hash", "all members have KV hash 9f2ce1d4 at revision 9214", verify.Pass)
	check("disk", "bbolt pages, WAL records, snapshots and consistent index are sound on every member", verify.Pass,
		verify.Evidence{Message: "db: 214 pages, 0 unreachable; WAL: 2 segments, 4,807 records, last index 9391", Member: "m1"},
		verify.Evidence{Message: "db: 214 pages, 0 unreachable; WAL: 2 segments, 4,811 records, last index 9391", Member: "m2"})
	check("recovery", "every member served again, the slowest after 612 ms", verify.Pass)
	return v
}

// write makes s's run directory.
func (s *sample) write(t testing.TB, dir string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(dir, history.DirMembers, "m1", "data", "member", "wal"), 0o755))
	must(os.MkdirAll(filepath.Join(dir, history.DirDisks, "m1"), 0o755))
	must(os.WriteFile(filepath.Join(dir, history.DirMembers, "m1", "etcd.log"), []byte("{}\n"), 0o644))
	must(os.WriteFile(filepath.Join(dir, history.DirMembers, "m1", "data", "member", "wal", "0.wal"), make([]byte, 700), 0o644))
	must(os.WriteFile(filepath.Join(dir, history.DirMembers, "m1", "data", "db"), make([]byte, 300), 0o644))
	must(os.WriteFile(filepath.Join(dir, history.DirDisks, "m1", "round-1.log"), make([]byte, 2048), 0o644))
	must(history.WriteRun(dir, &s.run))
	if s.final != nil {
		must(history.WriteFinal(dir, s.final))
	}
	events, err := os.Create(filepath.Join(dir, history.FileEvents))
	must(err)
	for i := range s.events {
		must(history.AppendEvent(events, &s.events[i]))
	}
	must(events.Close())
	ops, err := os.Create(filepath.Join(dir, history.FileOps))
	must(err)
	w, err := history.NewWriter(ops)
	must(err)
	for i := range s.ops {
		must(w.Append(&s.ops[i]))
	}
	must(w.Close())
	must(ops.Close())
}
