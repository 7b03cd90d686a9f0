package series

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

func TestSurplus(t *testing.T) {
	leg := func(n int, v verify.Result, bytes int64) Evidence { return Evidence{n, v, bytes} }
	const pass, fail, doubt, broken = verify.Pass, verify.Fail, verify.Inconclusive, verify.Error
	for _, c := range []struct {
		name          string
		all           []Evidence
		clean, others int64
		want          []int
	}{
		{"nothing", nil, 0, 0, nil},
		{"the newest stays, however large", []Evidence{leg(1, pass, 5), leg(2, pass, 50)}, 10, 0, []int{1}},
		{"just fits", []Evidence{leg(1, pass, 5), leg(2, pass, 5)}, 10, 0, nil},
		{"the oldest go first", []Evidence{leg(1, pass, 5), leg(2, pass, 5), leg(3, pass, 5), leg(4, pass, 5)}, 12, 0, []int{1, 2}},
		{"one that is large takes older ones with it", []Evidence{leg(1, pass, 1), leg(2, pass, 20), leg(3, pass, 5)}, 12, 0, []int{1, 2}},
		{"clean and others have limits of their own", []Evidence{leg(1, fail, 9), leg(2, pass, 9), leg(3, pass, 9), leg(4, fail, 9)}, 10, 20, []int{2}},
		{"doubts go before violations", []Evidence{leg(1, doubt, 5), leg(2, fail, 5), leg(3, broken, 5), leg(4, fail, 5)}, 0, 12, []int{1, 3}},
		{"of violations the first stay", []Evidence{leg(1, fail, 5), leg(2, fail, 5), leg(3, fail, 5)}, 0, 11, []int{3}},
		{"the first violation stays, however large", []Evidence{leg(1, doubt, 5), leg(2, fail, 50)}, 0, 1, []int{1}},
	} {
		var got []int
		for _, e := range surplus(c.all, c.clean, c.others) {
			got = append(got, e.Leg)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// A planted violation is kept whole while what is clean around it goes.
func TestRotation(t *testing.T) {
	p := plan(t, 12)
	p.KeepClean = 100 << 10
	s, f := create(t, p), &fake{t: t, bytes: 32 << 10, verdicts: map[uint64]verify.Result{p.LegSeed(3): verify.Fail, p.LegSeed(5): verify.Inconclusive}}
	if err := s.Play(t.Context(), f.parts()); err != nil {
		t.Fatal(err)
	}
	total := sum(t, s.Dir)
	var clean int64
	for _, l := range total.Legs {
		dir := filepath.Join(s.Dir, l.RunDir)
		_, err := os.Stat(filepath.Join(dir, "members", "data"))
		if whole := err == nil; whole != l.Kept || l.Verdict != verify.Pass && !whole {
			t.Errorf("leg %d, %s: whole %v, said to be %v", l.Leg, l.Verdict, whole, l.Kept)
		}
		bytes, err := size(dir)
		if err != nil {
			t.Error(err)
		}
		if l.Kept && l.Verdict == verify.Pass {
			clean += bytes
		}
		for _, name := range []string{history.FileRun, history.FileVerdict} {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
		}
	}
	if clean > p.KeepClean || clean < p.KeepClean/2 || !total.Legs[11].Kept || total.Legs[0].Kept {
		t.Errorf("%d bytes of clean evidence, limit %d", clean, p.KeepClean)
	}
	if total.Verdict != verify.Fail {
		t.Error(total.Verdict)
	}
}

// A kill between the two steps of a reduction is made good.
func TestReducedTwice(t *testing.T) {
	p := plan(t, 2)
	s, f := create(t, p), &fake{t: t, bytes: 32 << 10}
	if err := s.Play(t.Context(), f.parts()); err != nil {
		t.Fatal(err)
	}
	player := &player{Series: s, Parts: f.parts()}
	if err := strip(filepath.Join(s.Dir, player.runDir(1))); err != nil {
		t.Fatal(err)
	}
	if err := player.reduce(0, 0); err != nil {
		t.Fatal(err)
	}
	if total := sum(t, s.Dir); total.Legs[0].Kept || !total.Legs[1].Kept {
		t.Errorf("%+v", total.Legs)
	}
}
