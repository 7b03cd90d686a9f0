package lab

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestSettingsLine(t *testing.T) {
	spec := []string{"--name=m1", "--snapshot-count=5", "--data-dir=/d", "--corrupt-check-time=5s"}
	env := []string{"PATH=/bin", "GOFAIL_HTTP=1.2.3.4:1"}
	var none *Settings
	if !slices.Equal(none.Line(spec), spec) || !slices.Equal(none.Environment(env), env) {
		t.Error("no settings change something")
	}
	s := &Settings{
		Args: map[string]string{"snapshot-count": "100", "auth-token": "a=b"}, Without: []string{"corrupt-check-time"},
		Env: map[string]string{"GOFAIL_FAILPOINTS": "p=panic(\"x\")", "PATH": ""},
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	if got, want := s.Line(spec), []string{"--name=m1", "--data-dir=/d", "--auth-token=a=b", "--snapshot-count=100"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := s.Environment(env), []string{"GOFAIL_HTTP=1.2.3.4:1", `GOFAIL_FAILPOINTS=p=panic("x")`, "PATH="}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if !slices.Equal(spec, []string{"--name=m1", "--snapshot-count=5", "--data-dir=/d", "--corrupt-check-time=5s"}) {
		t.Errorf("the spec's line was changed: %q", spec)
	}
}

func TestSettingsCheck(t *testing.T) {
	for want, s := range map[string]Settings{
		"no flag's name":           {Args: map[string]string{"--snapshot-count": "5"}},
		"name cannot be changed":   {Args: map[string]string{"name": "m2"}},
		"data-dir cannot":          {Without: []string{"data-dir"}},
		"no environment variable":  {Env: map[string]string{"A=B": "c"}},
		"cannot have a NUL":        {Args: map[string]string{"a": "\x00"}},
		"need key, version and et": {Binaries: &Binaries{Key: "k"}},
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", s, err, want)
		}
	}
	for _, l := range []Limits{{CPU: -1}, {CPU: math.NaN()}, {CPU: 0.001}, {Memory: -1}, {Files: -1}} {
		if l.Check() == nil {
			t.Errorf("%+v was taken", l)
		}
	}
	if err := (Limits{CPU: 0.5, Memory: 1 << 20, Files: 10}).Check(); err != nil {
		t.Error(err)
	}
}
