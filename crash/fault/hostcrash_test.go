package fault

import (
	"context"
	"errors"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

func TestHostCrashBootsBeforeItStarts(t *testing.T) {
	for round, how := range map[int]string{1: "panic", 2: "reset", 3: "hang", 4: "panic"} {
		a, b := newMember("m1"), newMember("m2")
		var r recorder
		s, h := &Scene{Round: round, Record: r.record}, &HostCrash{}
		both := []lab.Member{a, b}
		effect, err := h.Apply(t.Context(), s, both)
		if err != nil || !effect.Observed {
			t.Fatalf("%+v, %v", effect, err)
		}
		if err := h.Heal(t.Context(), s, both); err != nil {
			t.Fatal(err)
		}
		for _, m := range []*member{a, b} {
			m.wants(t, "crash "+how, "boot", "start")
			if !r.has(history.EventExited, m.name) || !r.has(history.EventHealed, m.name) {
				t.Errorf("the crash of %s and its end are not in the record", m.name)
			}
		}
	}
	m := newMember("m1")
	s := &Scene{Round: 1, Record: func(history.Event) {}}
	if _, err := (&HostCrash{How: lab.HostHang}).Apply(t.Context(), s, []lab.Member{m}); err != nil {
		t.Fatal(err)
	}
	m.wants(t, "crash hang")
}

// away is a machine that no longer boots.
type away struct {
	*member
	err error
}

func (a away) Boot(context.Context) error { return a.err }

func TestHostCrashThatLosesTheFileSystemIsTheJudges(t *testing.T) {
	var r recorder
	s, h := &Scene{Round: 1, Record: r.record}, &HostCrash{}
	well := newMember("m2")
	lost := away{newMember("m1"), &lab.UnmountableError{Member: "m1", Reason: "bad superblock"}}
	if err := h.Heal(t.Context(), s, []lab.Member{lost, well}); err != nil {
		t.Fatal(err)
	}
	if !r.has(history.EventNotServing, "m1") {
		t.Error("that its file system was lost is not in the record")
	}
	well.wants(t, "boot", "start")
	lost.err = errors.New("no QEMU")
	if err := h.Heal(t.Context(), s, []lab.Member{lost}); err == nil {
		t.Error("a machine that did not boot is no error")
	}
}

// bare is a member of a provider that has processes, not machines.
type bare struct{ lab.Member }

func TestHostCrashNeedsAMachine(t *testing.T) {
	var u *lab.UnsupportedError
	if err := (&HostCrash{}).Needs(bare{newMember("m1")}); !errors.As(err, &u) || u.Capability != "HostCrasher" {
		t.Error(err)
	}
	if err := (&HostCrash{}).Needs(newMember("m1")); err != nil {
		t.Error(err)
	}
	if _, err := ParseHostCrash("melt"); err == nil {
		t.Error("a machine can melt")
	}
}

// A disk of device mapper keeps nothing of what comes after a cut, and does not
// tell how much waits at a hold.
func TestFaultsOnDeviceMapper(t *testing.T) {
	m := newMember("m1")
	m.profile = "dm"
	var r recorder
	s, p := &Scene{Round: 1, Record: r.record}, &PowerLoss{Policy: Policy(disk.Drop)}
	if _, err := p.Apply(t.Context(), s, []lab.Member{m}); err != nil {
		t.Fatal(err)
	}
	if err := p.Heal(t.Context(), s, []lab.Member{m}); err != nil {
		t.Fatal(err)
	}
	m.wants(t, "hold", "freeze", "link down", "cut", "freeze", "kill", "kill", "restore drop", "link up", "start")
	for _, e := range r.events {
		if e.Cut != nil && (e.Cut.Profile != "dm" || e.Cut.Policy != "drop") {
			t.Errorf("the cut is noted as %+v", e.Cut)
		}
	}
	m = newMember("m1")
	m.profile = "dm"
	f := &IOError{Disk: disk.Fault{Op: disk.OpWrite}, Policy: disk.Drop}
	if effect, err := f.Apply(t.Context(), s, []lab.Member{m}); err != nil || !effect.Observed {
		t.Fatalf("%+v, %v", effect, err)
	}
	if err := f.Heal(t.Context(), s, []lab.Member{m}); err != nil {
		t.Fatal(err)
	}
	m.wants(t, "arm write", "disarm", "kill", "cut", "restore drop", "start")
}
