package crash

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/crash/traffic"
	"github.com/etcdlab/etcdlab/lab/spec"
)

func TestEveryScenarioIsWhole(t *testing.T) {
	for _, s := range Scenarios() {
		o, err := s.Options.withDefaults()
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if s.Doc == "" || o.loops(3) < 1 || o.Traffic.Name == "" {
			t.Errorf("%s: %+v", s.Name, s)
		}
	}
}

func TestTrafficOf(t *testing.T) {
	n, often, zero := 7, 20*time.Millisecond, 0
	p, err := trafficOf(traffic.Profile{}, &spec.Traffic{
		Profile: "kubernetes", Weights: map[string]int{"put": 3, "kube-list": 0}, Sizes: []spec.SizeWeight{{Size: 64, Weight: 1}},
		WatchFrom: map[string]int{"future": 1},
		PerMember: &n, CompactEvery: &often, Watchers: &zero, Rate: &n,
	})
	if err != nil {
		t.Fatal(err)
	}
	like, _ := traffic.Find("kubernetes")
	if p.Name != "kubernetes (changed)" || p.Mix["put"] != 3 || p.Mix["kube-list"] != 0 || p.Mix["kube-create"] != like.Mix["kube-create"] ||
		len(p.Sizes) != 1 || p.WatchFrom["future"] != 1 || p.PerMember != 7 || p.CompactEvery != often || p.Watchers != 0 || p.Rate != 7 || p.HashEvery != like.HashEvery {
		t.Errorf("%+v", p)
	}
	if again, _ := traffic.Find("kubernetes"); again.Mix["kube-list"] == 0 {
		t.Error("the built-in profile was changed")
	}
	// What is not said is as in the scenario that the file starts from.
	puts, _ := traffic.Find("puts")
	if p, err := trafficOf(puts, &spec.Traffic{}); err != nil || p.Name != "puts" {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := trafficOf(traffic.Profile{}, &spec.Traffic{Watchers: &n}); err != nil || p.Watchers != 7 || p.Mix["put"] == 0 {
		t.Errorf("%+v, %v", p, err)
	}
	for field, bad := range map[string]spec.Traffic{
		"traffic.profile":      {Profile: "jam"},
		"traffic.weights.putt": {Weights: map[string]int{"putt": 1}},
		"traffic":              {LeaseTTLs: []int{100_000}},
	} {
		_, err := trafficOf(traffic.Profile{}, &bad)
		var wrong *trafficError
		if !errors.As(err, &wrong) || wrong.field != field {
			t.Errorf("want %s, got %v", field, err)
		}
	}
}

func TestLoadOptions(t *testing.T) {
	o, err := Options{Schedule: schedule.One("kill", "", nil)}.withDefaults()
	if err != nil || o.Traffic.Name != "default" || o.loops(3) != 16 || o.OpsBefore != 1000 {
		t.Errorf("%+v, %v", o, err)
	}
	slow, _ := traffic.Find("puts")
	slow.Rate = 10
	o, err = Options{Schedule: schedule.One(fault.NameNone, "", nil), Traffic: slow, Rounds: 4, Duration: time.Minute}.withDefaults()
	if err != nil || o.loops(3) != 15 || o.OpsBefore != 20 || o.share() != 15*time.Second {
		t.Errorf("%+v, %v", o, err)
	}
	if o.Rate = 100; o.rate() != 100 {
		t.Error("a rate that is said does not replace the profile's")
	}
	if _, err := (Options{Schedule: schedule.One("kill", "", nil), Duration: -1}).withDefaults(); err == nil || !strings.Contains(err.Error(), "a duration of") {
		t.Error(err)
	}
	if _, err := (Options{Schedule: schedule.One("kill", "", nil), Traffic: traffic.Profile{Name: "x", Mix: map[string]int{"jam": 1}}}).withDefaults(); err == nil || !strings.Contains(err.Error(), `unknown operation "jam"`) {
		t.Error(err)
	}
	r := &run{opts: o, loadStart: 5e9}
	if got := r.at(1.5); got != 5e9+22.5e9 {
		t.Errorf("one and a half rounds end at %d", got)
	}
}
