package crash

import (
	"errors"
	"testing"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

func TestTurns(t *testing.T) {
	s, err := FindScenario("dm-flakey")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Options.faultNames(); got != "power-loss,io-error" || !s.Options.cuts() || s.Disk != "dm" {
		t.Errorf("%q, %+v", got, s)
	}
	if err := s.Options.Check(); err != nil {
		t.Error(err)
	}
	r := &run{turns: []Turn{{"a", ""}, {"b", ""}}}
	if r.turn(1).Fault != "a" || r.turn(2).Fault != "b" || r.turn(3).Fault != "a" {
		t.Error("the rounds do not take turns")
	}
	s.Options.Then = []Turn{{Fault: "powder"}}
	if s.Options.Check() == nil {
		t.Error("an unknown fault may have a turn")
	}
}

func TestOnDisk(t *testing.T) {
	for name, tt := range map[string]struct {
		in     Options
		policy fault.Policy
		armed  string
		bad    bool
	}{
		"mixed":   {in: Options{Fault: "power-loss", Policy: fault.Mixed}, policy: "drop", armed: "write"},
		"unsaid":  {in: Options{Fault: "io-error"}, policy: "drop", armed: "write"},
		"said":    {in: Options{Fault: "io-error", IO: "flush"}, policy: "drop", armed: "flush"},
		"torn":    {in: Options{Fault: "power-loss", Policy: "torn"}, bad: true},
		"count":   {in: Options{Fault: "io-error", IO: "flush,count=1"}, bad: true},
		"range":   {in: Options{Fault: "io-error", IO: "write,range=0+4KiB"}, bad: true},
		"profile": {in: Options{Fault: "kill", Profile: disk.LyingFlush}, bad: true},
	} {
		o, err := tt.in.onDisk("dm")
		var u *lab.UsageError
		if tt.bad {
			if !errors.As(err, &u) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || o.Policy != tt.policy || o.IO != tt.armed || o.afterError != disk.Drop {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
	o, err := Options{Fault: "power-loss", Policy: "torn"}.onDisk("fault")
	if err != nil || o.Policy != "torn" || o.afterError != "" {
		t.Errorf("on a fault disk: %+v, %v", o, err)
	}
}
