package series

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/traffic"
)

func TestPlanRoundTrip(t *testing.T) {
	p := plan(t, 3)
	profile, err := traffic.Find("everything")
	if err != nil {
		t.Fatal(err)
	}
	p.Options.Traffic, p.Options.Every, p.Options.Checks = profile, time.Second, []string{"order"}
	p.Options.Progress = t.Logf
	s := create(t, p)
	got, err := ReadPlan(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, got, cmpopts.IgnoreFields(crash.Options{}, "Progress")); diff != "" {
		t.Error(diff)
	}
}

func TestPlanRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Plan){
		"of version 2":                   func(p *Plan) { p.Version = 2 },
		"must be more than 0":            func(p *Plan) { p.Leg = 0 },
		"must not be less than 0":        func(p *Plan) { p.KeepClean = -1 },
		"series.json:1":                  func(p *Plan) { p.Spec = "membres: 3" },
		"no schedule":                    func(p *Plan) { p.Options.Schedule = nil },
		"must be 0, for the profile's":   func(p *Plan) { p.Options.Clients = -1 },
		"a duration of 0s: both must be": func(p *Plan) { p.Options.Duration = 0 },
	} {
		p := plan(t, 3)
		p.Version = 1
		spoil(p)
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodePlan(data); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodePlan([]byte(`{"version":1,"legs":3}`)); err == nil || !strings.Contains(err.Error(), "another etcdlab") {
		t.Error(err)
	}
	if _, err := ReadPlan(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is no series") {
		t.Error(err)
	}
}

func TestLegFor(t *testing.T) {
	const m = time.Minute
	for _, c := range []struct {
		duration, asked, want time.Duration
		wrong                 bool
	}{
		{0, -1, 0, false}, {10 * m, -1, 0, false}, {11 * m, -1, 2 * m, false}, {24 * time.Hour, -1, 2 * m, false},
		{24 * time.Hour, 0, 0, false}, {10 * m, m, m, false}, {m, m, 0, false}, {m, 2 * m, 0, false},
		{0, m, 0, true}, {m, time.Millisecond, 0, true},
	} {
		if got, err := LegFor(c.duration, c.asked); got != c.want || err != nil != c.wrong {
			t.Errorf("%v in legs of %v: %v, %v", c.duration, c.asked, got, err)
		}
	}
}

func TestNext(t *testing.T) {
	p := plan(t, 10)
	for played, want := range map[time.Duration]time.Duration{
		0: time.Second, 8 * time.Second: time.Second, 8600 * time.Millisecond: 1400 * time.Millisecond,
		9500 * time.Millisecond: 500 * time.Millisecond, 10 * time.Second: 0, 11 * time.Second: 0,
	} {
		if got := p.next(played); got != want {
			t.Errorf("after %v: %v, want %v", played, got, want)
		}
	}
	if o := p.options(3, time.Second, "d"); o.Seed != p.LegSeed(3) || o.Dir != "d" || !strings.HasPrefix(o.Command, "etcdlab run kill --duration 1s --leg 0 --seed ") {
		t.Errorf("%+v", o)
	}
	if p.LegSeed(1) == p.LegSeed(2) {
		t.Error("two legs have one seed")
	}
}

// Entries in an order that cannot be are told, not guessed at.
func TestLedgerRefused(t *testing.T) {
	for name, lines := range map[string]string{
		"line 1: leg 2 is begun where leg 1 is due":              `{"kind":"begun","leg":2}`,
		"line 1: leg 1 was played without having been begun":     `{"kind":"played","leg":1}`,
		"leg 1 was judged without its evidence":                  `{"kind":"judged","leg":1,"verdict":"pass"}`,
		"line 2: a line of kind \"judged\" about leg 1 says too": "{\"kind\":\"lab\"}\n{\"kind\":\"judged\",\"leg\":1}",
		"about leg 0 says too":                                   `{"kind":"begun"}`,
		"kind \"painted\"":                                       `{"kind":"painted","leg":1}`,
		"or what cannot be":                                      `{"kind":"played","leg":1,"dir":"../x"}`,
		"is damaged":                                             `{"kind":"begun","leg":1} {}`,
		"reduced before it was judged":                           `{"kind":"reduced","leg":1}`,
		"it has no end":                                          strings.Repeat("x", maxLine+1),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, FileLedger), []byte(lines+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		var s state
		if err := Entries(dir, s.tell); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzLedger(f *testing.F) {
	f.Add([]byte("{\"kind\":\"lab\",\"made\":true}\n{\"kind\":\"begun\",\"leg\":1,\"seed\":3}\n{\"kind\":\"played\",\"leg\":1,\"dir\":\"legs/0001/x\",\"played\":5}\n" +
		"{\"kind\":\"judged\",\"leg\":1,\"verdict\":\"pass\",\"checks\":{\"order\":\"pass\"}}\n{\"kind\":\"reduced\",\"leg\":1}\n{\"kind\":\"resumed\"}\n{\"ki"))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		total := &Total{}
		w := &summing{total: total, checks: newChecks()}
		whole, err := scan(bytes.NewReader(data), w.tell)
		if whole > int64(len(data)) || err == nil && whole != int64(bytes.LastIndexByte(data, '\n')+1) {
			t.Errorf("%d of %d bytes are whole: %v", whole, len(data), err)
		}
		var again state
		if _, err := scan(bytes.NewReader(data[:whole]), again.tell); err != nil {
			t.Errorf("what was read cannot be read again: %v", err)
		}
		p := &Plan{Leg: time.Second}
		p.Options.Duration = time.Minute
		if w.end(p); total.Verdict == "" || len(total.Legs) > len(data) {
			t.Errorf("%+v", total)
		}
	})
}

func FuzzDecodePlan(f *testing.F) {
	f.Add([]byte(`{"version":1,"spec":"apiVersion: etcdlab.dev/v1alpha1\nkind: Lab\nname: x\n","leg":1000000000,"options":{"Schedule":[{"fault":"kill"}],"Duration":5000000000}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := DecodePlan(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodePlan(again); err != nil {
			t.Errorf("%s is refused as it was written: %v", again, err)
		}
	})
}
