package fault

import (
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
)

func TestPowerLossSilencesBeforeItCuts(t *testing.T) {
	a, b := newMember("m1"), newMember("m2")
	a.frozen = lab.Frozen{Blocked: 2, Freezer: "v2"} // waiting for the held flush
	var r recorder
	s, p := &Scene{Round: 1, Record: r.record}, &PowerLoss{}
	both := []lab.Member{a, b}
	effect, err := p.Apply(t.Context(), s, both)
	if err != nil || !effect.Observed {
		t.Fatalf("%+v, %v", effect, err)
	}
	if err := p.Heal(t.Context(), s, both); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*member{a, b} {
		m.wants(t, "hold", "freeze", "link down", "cut", "freeze", "kill", "kill", "restore", "link up", "start")
		if !r.has(history.EventCut, m.name) {
			t.Errorf("the cut of %s is not in the record", m.name)
		}
	}
}

// An etcd that runs on while its disk is cut is told that its flushes succeed;
// what it then acknowledges reaches the client once the link is up again.
func TestPowerLossDoesNotCutUnderAnEtcdThatRuns(t *testing.T) {
	m := newMember("m1")
	m.frozen = lab.Frozen{Blocked: 1, Running: 3, Freezer: "v2"}
	var r recorder
	s, p := &Scene{Round: 1, Record: r.record}, &PowerLoss{}
	effect, err := p.Apply(t.Context(), s, []lab.Member{m})
	if err == nil || !strings.Contains(err.Error(), "3 tasks still ran") || effect.Observed {
		t.Fatalf("%+v, %v", effect, err)
	}
	m.wants(t, "hold", "freeze")
	// And heals: the held flush ends as an honest one before etcd is killed.
	if err := p.Heal(t.Context(), s, []lab.Member{m}); err != nil {
		t.Fatal(err)
	}
	m.wants(t, "hold", "freeze", "release", "kill", "cut", "restore", "link up", "start")
}
