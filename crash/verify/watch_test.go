package verify

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// tape makes up what watchers of a made-up run were told: by the store's own
// records, and so independently of the checker's chronicle.
type tape struct {
	run  *rungen.Run
	recs []rungen.Record
	when map[int64]int64 // by revision, when it can be told of
	out  []history.WatchRecord
	end  int64
	next uint64
}

func newTape(r *rungen.Run) *tape {
	x := &tape{run: r, recs: slices.Clone(r.Members[0].Records), when: make(map[int64]int64), next: 1}
	done := make(map[int64]int64)
	asked := make(map[uint64]int64)
	for _, o := range r.Ops {
		asked[o.ID] = o.Invoke
		x.end = max(x.end, o.Return)
		if o.Outcome == history.OK && slices.ContainsFunc(append(slices.Clone(o.Then), o.Else...), func(q history.Request) bool { return q.Verb != history.Range }) {
			done[o.Revision] = o.Return
		}
	}
	now := r.Meta.Start
	for _, rec := range x.recs {
		now = max(now, done[rec.Main])
		if name, ok := history.ParseValue(rec.KV.Value); ok && done[rec.Main] == 0 {
			now = max(now, asked[name.Op]+1)
		}
		x.when[rec.Main] = now
	}
	x.end = max(x.end, now) + 2_000_000
	return x
}

func (x *tape) head() int64 { return x.recs[len(x.recs)-1].Main }

// spec is a watch to make up.
type spec struct {
	history.WatchRequest
	member  int
	agreed  int64 // of a watch from now on
	upTo    int64 // the last revision told of; 0 is all
	list    int   // revisions in a list; 0 is 1
	every   int64 // a bookmark at each so many revisions; 0 is none
	open    bool  // no end is noted
	delay   int64
	compact int64 // canceled for a compaction up to there, after upTo
}

func recording(x *tape) spec {
	return spec{WatchRequest: history.WatchRequest{
		Key: "\x00", End: "\x00", Start: x.run.Meta.Base.Revision + 1, Prev: true, Progress: true, Recorder: true,
	}}
}

func (x *tape) wants(s *spec, r *rungen.Record) bool {
	k := r.KV.Key
	if r.Main < s.Start || r.Tombstone && s.NoDelete || !r.Tombstone && s.NoPut || s.Start == 0 && r.Main <= s.agreed {
		return false
	}
	switch s.End {
	case "":
		return k == s.Key
	case "\x00":
		return k >= s.Key
	}
	return k >= s.Key && k < s.End
}

// watch adds one and gives its number.
func (x *tape) watch(s spec) uint64 {
	id := x.next
	x.next++
	m := x.run.Meta.Members[s.member]
	add := func(r history.WatchRecord) {
		r.Watch, r.Client, r.Member, r.MemberID = id, int32(100+id), m.Name, m.ID
		x.out = append(x.out, r)
	}
	opened := x.run.Meta.Start
	if s.Start > 0 && x.when[s.Start] > 0 {
		opened = x.when[s.Start] - 1000
	}
	if s.Start == 0 {
		opened = x.when[s.agreed]
	}
	q := s.WatchRequest
	add(history.WatchRecord{Kind: history.WatchOpened, Time: opened, Request: &q})
	add(history.WatchRecord{Kind: history.WatchCreated, Time: opened + 10, Revision: max(s.agreed, s.Start-1)})
	var events []history.WatchEvent
	revs, now := 0, opened+20
	flush := func(at int64) {
		if len(events) > 0 {
			now = max(now, x.when[at]) + s.delay + 5
			add(history.WatchRecord{Kind: history.WatchEvents, Time: now, Revision: at, Events: events})
		}
		events, revs = nil, 0
	}
	prev := make(map[string]*history.KV)
	for i := range x.recs {
		r := &x.recs[i]
		if s.upTo > 0 && r.Main > s.upTo {
			break
		}
		if i > 0 && x.recs[i-1].Main != r.Main && x.recs[i-1].Main >= s.Start {
			if revs++; revs >= s.list {
				flush(x.recs[i-1].Main)
			}
			if at := x.recs[i-1].Main; s.every > 0 && at%s.every == 0 && at >= max(s.Start, s.agreed+1) {
				flush(at)
				now = max(now, x.when[at]) + 7
				add(history.WatchRecord{Kind: history.WatchProgress, Time: now, Revision: at})
			}
		}
		if x.wants(&s, r) {
			e := history.WatchEvent{Delete: r.Tombstone, KV: r.KV}
			if r.Tombstone {
				e.KV = history.KV{Key: r.KV.Key, ModRevision: r.Main}
			}
			if p := prev[r.KV.Key]; s.Prev && p != nil {
				kv := *p
				e.Prev = &kv
			}
			events = append(events, e)
		}
		prev[r.KV.Key] = nil
		if !r.Tombstone {
			prev[r.KV.Key] = &r.KV
		}
	}
	flush(cmp.Or(s.upTo, x.head()))
	switch {
	case s.compact > 0:
		add(history.WatchRecord{Kind: history.WatchCanceled, Time: now + 100, CompactRevision: s.compact, Error: "required revision has been compacted"})
	case !s.open:
		add(history.WatchRecord{Kind: history.WatchClosed, Time: max(now, x.end)})
	}
	return id
}

// write makes the run directory with the watches, each record when it came.
func (x *tape) write(t testing.TB) string {
	t.Helper()
	dir := write(t, x.run)
	slices.SortStableFunc(x.out, func(a, b history.WatchRecord) int { return cmp.Compare(a.Time, b.Time) })
	x.encode(t, dir, true)
	return dir
}

func (x *tape) encode(t testing.TB, dir string, whole bool) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, history.FileWatches))
	if err != nil {
		t.Fatal(err)
	}
	w, err := history.NewWatchWriter(f)
	for i := range x.out {
		err = errors.Join(err, w.Append(&x.out[i]))
	}
	if whole {
		err = errors.Join(err, w.Close())
	} else {
		err = errors.Join(err, w.Flush())
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// crowd adds watches of all kinds that were told the truth.
func (x *tape) crowd() {
	p := x.run.Meta.Prefix
	end := rungen.PrefixEnd(p)
	head, base := x.head(), x.run.Meta.Base.Revision
	for i := range 3 {
		s := recording(x)
		s.member, s.every, s.list = i%len(x.run.Meta.Members), 17, 1+i*2
		x.watch(s)
	}
	key := p + "k000001"
	for i, s := range []spec{
		{WatchRequest: history.WatchRequest{Key: key, Start: base + 1, Prev: true}},
		{WatchRequest: history.WatchRequest{Key: key, Start: head / 2}, list: 10},
		{WatchRequest: history.WatchRequest{Key: p + "never", Start: base + 1, Progress: true}, every: 30},
		{WatchRequest: history.WatchRequest{Key: p, End: end, Start: head / 3, Progress: true, NoPut: true, Prev: true}, every: 9},
		{WatchRequest: history.WatchRequest{Key: p, End: end, Start: head / 2, NoDelete: true, Fragment: true}, list: 40},
		{WatchRequest: history.WatchRequest{Key: p + "k000002", End: p + "k000006", Start: head / 2, Prev: true}, every: 50, open: true},
		{WatchRequest: history.WatchRequest{Key: p, End: end}, agreed: head / 2, every: 20, list: 3},
		{WatchRequest: history.WatchRequest{Key: p, End: end, Start: head + 50}},
		{WatchRequest: history.WatchRequest{Key: p, End: "\x00", Start: head - 20, Prev: true}, upTo: head - 3},
		{WatchRequest: history.WatchRequest{Key: p, End: end, Start: max(1, base-5)}, list: 1000},
	} {
		s.member = i % len(x.run.Meta.Members)
		x.watch(s)
	}
}

// TestWatchClean judges watches that were told the truth.
func TestWatchClean(t *testing.T) {
	n := uint64(40)
	if testing.Short() {
		n = 6
	}
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rungen.Simulate(rungen.Options{
				Seed: seed + 900, Members: 1 + int(seed%2)*2, Clients: 1 + int(seed%9), Ops: 150 + int(seed%5)*60,
				Keys: 3 + int(seed%4)*9, Rounds: 1 + int(seed%3), Base: int(seed%3) * 15, Foreign: int(seed%4) * 4,
			})
			x := newTape(r)
			x.crowd()
			v := judge(t, x.write(t), nil)
			if v.Verdict != Pass || check(v, checkWatch).Verdict != Pass {
				t.Fatalf("seed %d: %s", seed, show(v))
			}
		})
	}
}

// TestWatchNone says nothing of runs that watched nothing.
func TestWatchNone(t *testing.T) {
	x := newTape(rungen.Simulate(rungen.Options{Seed: 4, Ops: 100}))
	if c := check(judge(t, write(t, x.run), nil), checkWatch); c.Name != "" {
		t.Error("without the file:", c)
	}
	if c := check(judge(t, x.write(t), nil), checkWatch); c.Name != "" {
		t.Error("without a watch:", c)
	}
}

func TestWatchDamaged(t *testing.T) {
	x := newTape(rungen.Simulate(rungen.Options{Seed: 5, Ops: 200}))
	x.crowd()
	dir := x.write(t)
	x.encode(t, dir, false)
	if c := check(judge(t, dir, nil), checkWatch); c.Verdict != Inconclusive || !strings.Contains(c.Detail, "ends early") {
		t.Error("cut short:", c)
	}
	path := filepath.Join(dir, history.FileWatches)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if c := check(judge(t, dir, nil), checkWatch); c.Verdict != Error || !strings.Contains(c.Detail, "corrupt") {
		t.Error("corrupt:", c)
	}
}
