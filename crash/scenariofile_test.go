package crash

import (
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/lab/spec"
)

func TestFromFile(t *testing.T) {
	s, err := FromFile(&spec.Scenario{Name: "mine", Run: spec.Run{
		Fault: "io-error", IO: "write,count=2", Target: "m2", Rounds: 9, Rate: 50, Profile: "honest-4k",
	}})
	if err != nil {
		t.Fatal(err)
	}
	o := s.Options
	if o.Scenario != "mine" || o.Schedule[0].Fault != "io-error" || o.Schedule[0].Target != "m2" || o.Rounds != 9 || o.Rate != 50 || o.Profile != "honest-4k" || o.Schedule[0].With["io"] != "write,count=2" {
		t.Errorf("%+v", o)
	}
	// What is not said is the built-in scenario's.
	s, err = FromFile(&spec.Scenario{Name: "mine", Run: spec.Run{Fault: "power-loss"}})
	if same, _ := FindScenario("power-loss"); err != nil || s.Options.OpsBefore != same.Options.OpsBefore || s.Options.Rounds != same.Options.Rounds {
		t.Errorf("%+v, %v", s.Options, err)
	}
	for want, r := range map[string]spec.Run{
		"run.fault: no fault and no schedule is set": {},
		`run.fault: unknown fault "powder"`:          {Fault: "powder"},
		`run.host: it cannot be "faint"`:             {Fault: "host-crash", Host: "faint"},
		"run.cut: ":                                  {Fault: "power-loss", Cut: "half"},
		"run.io: ":                                   {Fault: "io-error", IO: "wrte"},
		"run.profile: unknown disk profile":          {Fault: "kill", Profile: "honest"},
		`run.target: unknown target "m9"`:            {Fault: "kill", Target: "m9"},
	} {
		if _, err := FromFile(&spec.Scenario{Name: "x", Run: r}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}
