package hunt

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/traffic"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// everything is a space with all faults there are, whatever a lab can do.
func everything() *Space {
	var faults []string
	for _, k := range fault.Kinds() {
		if _, err := k.Make(nil); err == nil && k.Honest() {
			faults = append(faults, k.Name)
		}
	}
	return &Space{Version: "v3.5.17", Points: []string{"raftBeforeSave", "defragBeforeCopy"}, Faults: faults, FSes: spec.FSes, Members: []int{1, 1, 3}}
}

func TestDrawIsPure(t *testing.T) {
	sp := everything()
	var forward, backward []string
	for n := range 60 {
		forward = append(forward, text(Draw(sp, 7, n)))
	}
	for n := 59; n >= 0; n-- {
		backward = append(backward, text(Draw(sp, 7, n)))
	}
	slices.Reverse(backward)
	if !slices.Equal(forward, backward) {
		t.Error("what is drawn depends on what was drawn before")
	}
	if text(Draw(sp, 8, 0)) == forward[0] {
		t.Error("another seed draws the same")
	}
	if a, b := sp.Hash(7), sp.Hash(8); a == b {
		t.Error("another seed has the same plan")
	}
	other := *sp
	other.Points = other.Points[:1]
	if sp.Hash(7) == other.Hash(7) {
		t.Error("another space has the same plan")
	}
}

// Everything there is must be drawn, as a scenario that can be played and written
// as a file; a leg's rounds must have one lab.
func TestDrawCovers(t *testing.T) {
	sp := everything()
	want := map[string]bool{}
	for _, o := range traffic.Operations() {
		want["operation "+o.Name] = true
	}
	for _, s := range traffic.WatchStarts() {
		want["watches from "+s.Name] = true
	}
	for _, e := range extras {
		want[e.name] = true
	}
	for _, f := range sp.Faults {
		if f != fault.NameNone && f != fault.NameFailpoint {
			want["fault "+f] = true
		}
	}
	for _, p := range sp.Points {
		want["fault failpoint at "+p] = true
	}
	for _, flag := range []string{"snapshot-count", "experimental-snapshot-catchup-entries", "experimental-compaction-batch-limit"} {
		want["flag "+flag] = true
	}
	for n := range 1500 {
		s := Draw(sp, 1, n)
		if _, err := crash.FromFile(s); err != nil {
			t.Fatalf("round %d cannot be played: %v\n%s", n, err, text(s))
		}
		if again := s.Clone(); text(again) != text(s) {
			t.Fatalf("round %d is another once written and read:\n%s\n%s", n, text(s), text(again))
		}
		if n%leg > 0 {
			first := Draw(sp, 1, n-n%leg)
			first.Run, first.Name = s.Run, s.Name
			if text(first) != text(s) {
				t.Fatalf("rounds %d and %d have different labs", n-n%leg, n)
			}
		}
		for name := range namesOf(s) {
			delete(want, name)
			if point, ok := strings.CutPrefix(name, "fault failpoint-"); ok { // faults that lead to points
				delete(want, "fault failpoint-"+strings.Split(point, " ")[0])
			}
		}
		for _, f := range sp.Faults {
			spec.Leaves(s.Run.Schedule, func(l *spec.Step) {
				if l.Fault == f {
					delete(want, "fault "+f)
				}
			})
		}
	}
	if len(want) > 0 {
		t.Errorf("never drawn: %v", slices.Sorted(maps.Keys(want)))
	}
}

// A fault that needs parameters that nothing is known of must not stop the rest.
func TestDrawWithoutFaults(t *testing.T) {
	sp := &Space{Version: "v3.7.3", FSes: []string{"ext4"}, Members: []int{1}}
	for n := range 20 {
		if s := Draw(sp, 1, n); !quiet(s) || s.Run.Duration == 0 {
			t.Fatalf("round %d:\n%s", n, text(s))
		}
	}
}
