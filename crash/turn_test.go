package crash

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

func TestTurns(t *testing.T) {
	s, err := FindScenario("dm-flakey")
	if err != nil {
		t.Fatal(err)
	}
	if got := schedule.Faults(s.Options.Schedule); !slices.Equal(got, []string{"power-loss", "io-error"}) || s.Options.policies() != "drop" || s.Lab.Disk.Kind != "dm" {
		t.Errorf("%q, %+v", got, s)
	}
	if err := s.Options.Check(); err != nil {
		t.Error(err)
	}
	if (Options{}).Check() == nil {
		t.Error("a run without a schedule")
	}
}

func TestOnDisk(t *testing.T) {
	one := func(name, param, value string) Options {
		return Options{Schedule: schedule.One(name, "", map[string]string{param: value})}
	}
	for name, tt := range map[string]struct {
		in   Options
		with map[string]string // nil is an error
	}{
		"mixed":   {one("power-loss", "cut", "mixed"), map[string]string{"cut": "drop"}},
		"unsaid":  {one("io-error", "io", ""), map[string]string{"io": "write", "keep": "drop"}},
		"said":    {one("io-error", "io", "flush"), map[string]string{"io": "flush", "keep": "drop"}},
		"torn":    {one("power-loss", "cut", "torn"), nil},
		"count":   {one("io-error", "io", "flush,count=1"), nil},
		"range":   {one("io-error", "io", "write,range=0+4KiB"), nil},
		"profile": {Options{Schedule: schedule.One("kill", "", nil), Profile: disk.LyingFlush}, nil},
	} {
		o, err := tt.in.onDisk("dm")
		var u *lab.UsageError
		if tt.with == nil {
			if !errors.As(err, &u) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || !maps.Equal(o.Schedule[0].With, tt.with) {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
	if o, err := one("power-loss", "cut", "torn").onDisk("fault"); err != nil || o.Schedule[0].With["cut"] != "torn" {
		t.Errorf("on a fault disk: %+v, %v", o, err)
	}
}
