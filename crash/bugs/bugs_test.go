package bugs

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/semver"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/traffic"
	"github.com/etcdlab/etcdlab/crash/verify"
	"github.com/etcdlab/etcdlab/images"
)

func TestCatalogueIsWhole(t *testing.T) {
	last := 0
	for _, b := range All() {
		n, err := strconv.Atoi(b.ID)
		if err != nil || n <= last {
			t.Errorf("%s comes after %d: %v", b.ID, last, err)
		}
		last = n
		if b.Title == "" || b.Look == "" || !strings.HasSuffix(b.Link, "/"+b.ID) || len(b.Signs) == 0 {
			t.Errorf("%s lacks something: %+v", b.ID, b)
		}
		if !b.Has(b.Bad) || b.Has(b.Good) || semver.MajorMinor(b.Bad) != semver.MajorMinor(b.Good) && b.ID != "18667" {
			t.Errorf("%s: bad %s, good %s, in %v", b.ID, b.Bad, b.Good, b.In)
		}
		for _, r := range b.In {
			if !semver.IsValid(r.From) || r.To != "" && semver.Compare(r.From, r.To) >= 0 {
				t.Errorf("%s: range %v", b.ID, r)
			}
		}
		sc, err := crash.FindScenario(b.Scenario())
		if err != nil {
			t.Error(err)
			continue
		}
		if sc.Lab.Etcd.Version != b.Bad || !strings.Contains(sc.Doc, "#"+b.ID) && !strings.Contains(sc.Doc, "pull request "+b.ID) {
			t.Errorf("%s: its scenario is about %s: %s", b.ID, sc.Lab.Etcd.Version, sc.Doc)
		}
		if _, err := images.ReadPatches(sc.Lab.Etcd.Patches); err != nil {
			t.Errorf("%s: %v", b.ID, err)
		}
		if b.Operation != "" && sc.Options.Traffic.Mix[b.Operation] == 0 {
			t.Errorf("%s: its load has no %s: %v", b.ID, b.Operation, sc.Options.Traffic.Mix)
		}
	}
	for _, s := range crash.Scenarios() {
		if id, ok := strings.CutPrefix(s.Name, "bug/"); ok {
			if _, err := Find(id); err != nil {
				t.Error(err)
			}
		}
	}
	for _, id := range []string{"14370", "#14370", "bug/14370"} {
		if b, err := Find(id); err != nil || b.ID != "14370" {
			t.Errorf("%s: %+v, %v", id, b, err)
		}
	}
}

func TestKnown(t *testing.T) {
	old := map[string]int{"txn-old": 1, "alarms": 1}
	for _, c := range []struct {
		version, check, message string
		mix                     map[string]int
		want                    []string
	}{
		{"v3.5.4", "durability", "put k = c4/000535, acknowledged by m1 at 0.647s (revision 362), is not in the store after recovery: revision 362 holds", map[string]int{"put": 1}, []string{"14370"}},
		{"v3.5.4", "durability", "put k = c4/000535, acknowledged by m1 at 0.647s (revision 362), is not in the store after recovery: revision 362 holds", old, []string{"14370", "18667"}},
		{"v3.7.3", "durability", "put k = c4/000535, acknowledged by m1 at 0.647s (revision 362), is not in the store after recovery: revision 362 holds", old, nil},
		{"v3.5.5", "durability", "revision 347 holds k = c3/000439: put k = c3/000439, acknowledged by m1 (revision 311), is in the store a second time", nil, []string{"14685"}},
		{"v3.5.17", "watch", "resumable: watch 37 of client 1 at m1 (on k, from revision 400) was told of revision 401 first, at 4.194s, and never of revision 400, a delete of k", nil, []string{"19179"}},
		{"v3.5.17", "watch", "start: watch 8 of client 1 at m2 (on k, from revision 131) was told of a bookmark at revision 57, before the first it asked for", nil, []string{"20221"}},
		{"v3.6.2", "watch", "start: watch 8 of client 1 at m2 (on k, from revision 131) was told of a bookmark at revision 57, before the first it asked for", nil, nil},
		{"v3.5.7", "watch", "bookmarkable: watch 13 of client 1 at m2 (on k, from now on) was told at 1s that everything up to revision 1048 had come, and only then of revision 1026", nil, []string{"15220"}},
		{"v3.5.7", "reads", "bookmarkable: watch 13", nil, nil},
	} {
		if got := Known(c.version, c.mix, c.check, &verify.Evidence{Message: c.message}); !slices.Equal(got, c.want) {
			t.Errorf("%s %s: got %v, want %v", c.version, c.message, got, c.want)
		}
	}
	for _, b := range All() {
		if b.Operation == "" {
			continue
		}
		if op := (traffic.Profile{Mix: map[string]int{b.Operation: 1}}); op.Check() != nil {
			t.Errorf("%s: no operation %s", b.ID, b.Operation)
		}
	}
}

// A fake etcd has the bug in its bad release but for one seed in ten.
func TestRun(t *testing.T) {
	b, err := Find("20221")
	if err != nil {
		t.Fatal(err)
	}
	shown := verify.Verdict{Verdict: verify.Fail, Checks: []verify.Check{
		{Name: "reads", Verdict: verify.Fail, Evidence: []verify.Evidence{{Message: "start: watch 8 was told of revision 7"}}},
		{Name: "watch", Verdict: verify.Fail, Evidence: []verify.Evidence{{Message: "unique: x"}, {Message: "start: watch 8 was told of revision 7"}}},
	}}
	other := verify.Verdict{Verdict: verify.Fail, Checks: shown.Checks[:1]}
	var seeds []uint64
	for i := range uint64(10) {
		seeds = append(seeds, i)
	}
	for name, c := range map[string]struct {
		do         func(Try) Outcome
		documented bool
		row        string
	}{
		"as documented": {func(x Try) Outcome {
			switch {
			case x.Bad() && x.Seed != 3:
				return Outcome{Verdict: &shown, Took: time.Duration(x.Seed+1) * time.Second}
			case x.Seed == 3:
				return Outcome{Verdict: &other}
			}
			return Outcome{Verdict: &verify.Verdict{Verdict: verify.Pass}}
		}, true, "9 of 10, 1 failed otherwise | 6s "},
		"not found": {func(x Try) Outcome {
			if x.Bad() && x.Seed > 1 {
				return Outcome{Verdict: &shown, Took: time.Second}
			}
			return Outcome{Verdict: &verify.Verdict{Verdict: verify.Pass}}
		}, false, "8 of 10 | 1s "},
		"found on the good one": {func(x Try) Outcome {
			if x.Bad() || x.Seed == 1 {
				return Outcome{Verdict: &shown, Took: time.Second}
			}
			return Outcome{Verdict: &verify.Verdict{Verdict: verify.Pass}}
		}, false, "| 1 of 10 | no"},
		"broken off": {func(x Try) Outcome {
			if x.Bad() {
				return Outcome{Verdict: &shown, Took: time.Second}
			}
			return Outcome{Err: errors.New("no disk")}
		}, false, "| 0 of 10, 10 broken off | no"},
	} {
		t.Run(name, func(t *testing.T) {
			odd, told := 0, 0
			rows := Run(t.Context(), []Bug{b}, seeds, 3, func(_ context.Context, x Try) Outcome { return c.do(x) }, func(o *Outcome) {
				told++
				if o.Found && (o.Check != "watch" || o.Evidence.Message != shown.Checks[1].Evidence[1].Message) {
					t.Errorf("found by %s: %+v", o.Check, o.Evidence)
				}
				if o.Odd() {
					odd++
				}
			})
			if len(rows) != 1 || rows[0].AsDocumented() != c.documented || told != 20 || odd == 0 {
				t.Errorf("%d odd of %d: %+v", odd, told, rows)
			}
			var table strings.Builder
			if err := Table(&table, rows); err != nil || !strings.Contains(strings.Join(strings.Fields(table.String()), " "), strings.TrimSpace(c.row)) {
				t.Errorf("%v: no %q in\n%s", err, c.row, table.String())
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if rows := Run(ctx, []Bug{b}, seeds, 1, func(context.Context, Try) Outcome { t.Error("tried"); return Outcome{} }, func(*Outcome) {}); rows[0].AsDocumented() {
		t.Error("nothing was run, as documented")
	}
}
