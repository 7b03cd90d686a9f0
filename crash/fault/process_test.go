package fault

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
)

func TestScriptIsToldWhatOnAndWhen(t *testing.T) {
	m := newMember("m1")
	out := filepath.Join(t.TempDir(), "out")
	f, err := Make("script", map[string]string{"path": "/bin/sh", "args": "-c env>>" + out})
	if err != nil {
		t.Fatal(err)
	}
	var r recorder
	s := &Scene{Lab: "demo", Members: []lab.Member{m, newMember("m2")}, Record: r.record}
	effect, err := f.Apply(t.Context(), s, []lab.Member{m})
	if err != nil || !effect.Observed || !r.has(history.EventFault, "m1") {
		t.Fatalf("%+v, %v", effect, err)
	}
	for range 2 {
		if err := f.Heal(t.Context(), s, []lab.Member{m}); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for want, n := range map[string]int{"ETCDLAB_PHASE=apply\n": 1, "ETCDLAB_PHASE=heal\n": 2, "ETCDLAB_LAB=demo\n": 3, "ETCDLAB_TARGETS=m1\n": 3} {
		if strings.Count(string(data), want) != n {
			t.Errorf("%s: %d times, want %d", strings.TrimSpace(want), strings.Count(string(data), want), n)
		}
	}
	bad, err := Make("script", map[string]string{"path": "/bin/sh", "args": "-c exit${IFS}3"})
	if err != nil {
		t.Fatal(err)
	}
	if effect, err := bad.Apply(t.Context(), s, []lab.Member{m}); err == nil || effect.Observed {
		t.Errorf("a script that fails: %+v, %v", effect, err)
	}
}

func TestProcessParameters(t *testing.T) {
	for want, c := range map[string]struct{ kind, name, value string }{
		"0s must be other than 0":                   {"clock-step", "by", "0s"},
		"1ms is less than 1s":                       {"clock-step", "by", "1ms"},
		`"x" is not a percentage`:                   {"clock-skew", "percent", "x"},
		"11 must be other than 0, from -10 to 10":   {"clock-skew", "percent", "11"},
		"NaN must be other than 0":                  {"clock-skew", "percent", "NaN"},
		`it cannot be "boot"`:                       {"crash-at-start", "during", "boot"},
		"is no failpoint's name":                    {"crash-at-start", "point", "a=b"},
		`"3.7.3" is no release`:                     {"upgrade", "to", "3.7.3"},
		"percent must be at least 1":                {"cpu-throttle", "percent", "0%"},
		"the flag data-dir cannot be changed":       {"restart-with", "flag", "data-dir"},
		"0 must be at least 1":                      {"restart-loop", "times", "0"},
		`it has no such parameter, did you mean "n`: {"fd-limit", "m", "3"},
	} {
		if _, err := Make(c.kind, map[string]string{c.name: c.value}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s %s=%s: %v, want %s", c.kind, c.name, c.value, err, want)
		}
	}
	if f, err := Make("clock-skew", map[string]string{"percent": "-5%"}); err != nil || f.(*Clock).To.Rate != -0.05 {
		t.Errorf("%+v, %v", f, err)
	}
}

func FuzzSkewAndStep(f *testing.F) {
	f.Add("5%")
	f.Add("-24h")
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := parseSkew(s); err == nil && !(v >= -0.1 && v <= 0.1 && v != 0) {
			t.Errorf("%q is %v", s, v)
		}
		_ = stepForm(s)
	})
}
