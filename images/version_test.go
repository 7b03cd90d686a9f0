package images

import (
	"errors"
	"testing"

	"golang.org/x/mod/semver"
)

func TestNormalizeVersion(t *testing.T) {
	for in, want := range map[string]string{
		"v3.5.4":           "v3.5.4",
		"3.5.4":            "v3.5.4",
		" 3.7.3\n":         "v3.7.3",
		"v3.5.0":           "v3.5.0",
		"3.8.0-alpha.0":    "v3.8.0-alpha.0",
		"v3.5.0-alpha.0":   "", // before v3.5.0
		"3.4.30":           "",
		"v2.3.8":           "",
		"v4.0.0":           "",
		"3.5":              "",
		"v3":               "",
		"":                 "",
		"latest":           "",
		"v3.5.4+build":     "",
		"v3.5.04":          "",
		"../../etc":        "",
		"v3.5.4@v3.5.5":    "",
		"vv3.5.4":          "",
		"3.5.4 --toolexec": "",
	} {
		got, err := NormalizeVersion(in)
		if got != want {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
		var e *Error
		if want == "" && (!errors.As(err, &e) || e.Kind != Usage || e.Next == "") {
			t.Errorf("%q: error %v is no usage error with a next step", in, err)
		}
	}
}

func FuzzNormalizeVersion(f *testing.F) {
	for _, s := range []string{"v3.5.4", "3.7.3", "3.8.0-alpha.0", "v4.0.0", "3.5", "x", "v3.5.4+m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := NormalizeVersion(s)
		if err != nil {
			return
		}
		if !semver.IsValid(v) || semver.Compare(v, OldestVersion) < 0 || semver.Major(v) != "v3" || semver.Build(v) != "" {
			t.Errorf("%q gave %q", s, v)
		}
		if again, err := NormalizeVersion(v); again != v || err != nil {
			t.Errorf("%q gave %q, which gave %q, %v", s, v, again, err)
		}
	})
}

func TestNearest(t *testing.T) {
	all := []string{"v3.5.0-alpha.0", "v3.5.0", "v3.5.11", "v3.5.33", "v3.5.9", "v3.6.0", "v3.7.1", "v3.7.2-rc.0"}
	for version, want := range map[string]string{
		"v3.5.22":       "v3.5.33",
		"v3.5.10":       "v3.5.11",
		"v3.5.34":       "v3.5.33",
		"v3.5.2":        "v3.5.9",
		"v3.6.5":        "v3.6.0",
		"v3.7.2":        "v3.7.1",
		"v3.7.2-beta.0": "v3.7.2-rc.0",
		"v3.8.0":        "",
	} {
		if got := nearest(version, all); got != want {
			t.Errorf("%s: got %q, want %q", version, got, want)
		}
	}
}
