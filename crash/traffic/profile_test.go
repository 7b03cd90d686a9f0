package traffic

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

func TestBuiltInProfilesAreSound(t *testing.T) {
	drawn := map[string]bool{}
	for _, p := range Profiles() {
		if err := p.Check(); err != nil || p.Doc == "" || p.PerMember+p.Clients == 0 {
			t.Errorf("%s: %v, %q, %d clients", p.Name, err, p.Doc, p.PerMember+p.Clients)
		}
		for name := range p.Mix {
			drawn[name] = true
		}
	}
	everything, err := Find("everything")
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range Operations() {
		if !drawn[op.Name] || op.Doc == "" {
			t.Errorf("operation %s is in no profile, or not documented", op.Name)
		}
		if everything.Mix[op.Name] == 0 && op.Name != "txn-old" {
			t.Errorf("everything lacks %s", op.Name)
		}
	}
}

func TestFind(t *testing.T) {
	p, err := Find("")
	if err != nil || p.Name != "default" {
		t.Errorf("the default is %q: %v", p.Name, err)
	}
	p.Mix["put"] = 0
	if again, _ := Find("default"); again.Mix["put"] == 0 {
		t.Error("a caller's change went into the built-in profile")
	}
	if _, err := Find("nothing"); err == nil || !strings.Contains(err.Error(), "everything") {
		t.Errorf("the error does not list the names: %v", err)
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	for want, p := range map[string]Profile{
		`unknown operation "fly"`: {Mix: map[string]int{"fly": 1}},
		"put has weight -1":       {Mix: map[string]int{"put": -1}},
		"no operation has":        {Mix: map[string]int{"put": 0}},
		"a rate of -1":            {Rate: -1},
		"-2 clients":              {Clients: -2},
		"5000 clients of each":    {PerMember: 5000},
		"-1 keys":                 {Keys: -1},
		"values of 2097152 bytes": {Sizes: []Size{{2 << 20, 1}}},
		"no size of values":       {Sizes: []Size{{128, 0}}},
		"a lease of 0 s":          {LeaseTTLs: []int{0}},
		"-1 watchers":             {Watchers: -1},
		"-1 slow watchers":        {SlowWatchers: -1},
		"every 1µs":               {CompactEvery: time.Microsecond},
		"-5 revisions":            {CompactBehind: -5},
		"-1 leases":               {Leases: -1},
	} {
		if err := p.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one with %q", err, want)
		}
	}
	if err := (Profile{}).Check(); err != nil {
		t.Error("the zero profile:", err)
	}
}

func TestEveryPutOfAnOperationHasANumberOfItsOwn(t *testing.T) {
	l := &Load{opts: Options{RunID: "0123456789abcdef", Profile: Profile{}.withDefaults()}, sizes: 1}
	c := &client{load: l, id: 3, rng: rand.New(rand.NewPCG(1, 2)), seen: map[string]int64{}}
	put := func() history.Request { return history.Request{Verb: history.Put, Key: "k"} }
	op := &history.Op{
		ID: 7, Kind: history.KindTxn,
		Then: []history.Request{put(), {Verb: history.Txn, Txn: &history.Branches{
			Then: []history.Request{put()}, Else: []history.Request{{Verb: history.Range}, put()},
		}}, put()},
		Else: []history.Request{put()},
	}
	c.name(op)
	var got []int
	visit := func(r history.Request) {
		if r.Verb == history.Put {
			name, _ := history.ParseValue(r.Value)
			got = append(got, name.N)
		}
	}
	each(op.Then, visit)
	each(op.Else, visit)
	want := []int{0, 2, 4, 5, 6}
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] {
			t.Fatalf("the puts are numbered %v, want %v", got, want)
		}
	}
}

// etcd refuses a transaction that may write a key twice; none is to be drawn.
func TestTransactionsWriteNoKeyTwice(t *testing.T) {
	l := &Load{opts: Options{RunID: "r", Prefix: "/p/", Profile: Profile{Keys: 6}.withDefaults()}, sizes: 1}
	c := &client{load: l, rng: rand.New(rand.NewPCG(1, 2)), seen: map[string]int64{}}
	for range 5000 {
		for _, fill := range []build{txn, txnNested, replace, multiPut, txnOld} {
			op := &history.Op{}
			fill(c, op)
			for _, branch := range [][]history.Request{op.Then, op.Else} {
				written := map[string]bool{}
				each(branch, func(r history.Request) {
					if r.Verb != history.Put && r.Verb != history.Delete {
						return
					}
					if written[r.Key] {
						t.Fatalf("%q is written twice in %+v", r.Key, branch)
					}
					written[r.Key] = true
				})
			}
		}
	}
}

func TestOlderRevisionsAreOfTheRun(t *testing.T) {
	n := &newest{base: 1000}
	r := rand.New(rand.NewPCG(3, 4))
	n.revision.Store(1000)
	if got := n.older(r); got != 1000 {
		t.Errorf("%d with nothing written yet", got)
	}
	n.revision.Store(5000)
	for range 1000 {
		if got := n.older(r); got < 1000 || got > 5000 && got < 100_000 {
			t.Errorf("%d is neither of the run nor far in the future", got)
		}
	}
	n.compacted.Store(4000)
	compacted := 0
	for range 1000 {
		if n.older(r) < 4000 {
			compacted++
		}
	}
	if compacted == 0 {
		t.Error("no read at a compacted revision")
	}
}

func TestWatchStarts(t *testing.T) {
	for want, from := range map[string]map[string]int{
		"cannot begin at": {"yesterday": 1}, "has a weight": {"now": 0}, "must be 0 to": {"now": -1},
	} {
		if err := (Profile{WatchFrom: from}).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", from, err)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	w := &watcher{client: &client{rng: r, load: &Load{}}}
	n := &w.load.newest
	n.base = 10
	for _, c := range []struct {
		from            string
		head, compacted int64
		least, most     int64
	}{
		{"now", 1000, 500, 0, 0}, {"near", 0, 0, 0, 0}, {"near", 1000, 500, 900, 1100}, {"near", 20, 5, 11, 120},
		{"compacted", 1000, 500, 401, 500}, {"compaction", 1000, 500, 500, 500}, {"compaction", 1000, 0, 0, 0}, {"future", 1000, 500, 1001, 1300},
	} {
		n.revision.Store(c.head)
		n.compacted.Store(c.compacted)
		w.load.starts = newStarts(map[string]int{c.from: 1})
		for range 200 {
			if got := w.from(); got < c.least || got > c.most {
				t.Fatalf("%+v: %d", c, got)
			}
		}
	}
}
