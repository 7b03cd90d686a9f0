package images

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"

	"golang.org/x/mod/modfile"
)

func TestEveryInputChangesTheKey(t *testing.T) {
	base := Inputs{Version: "v3.5.4", Go: "go1.26.8"}
	seen := map[string]string{base.key(): "nothing"}
	v := reflect.TypeFor[Inputs]()
	for i := range v.NumField() {
		in := base
		switch f := reflect.ValueOf(&in).Elem().Field(i); f.Kind() {
		case reflect.String:
			f.SetString("other")
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Int:
			f.SetInt(1000)
		default:
			t.Fatalf("field %s has a kind this test does not know", v.Field(i).Name)
		}
		if other, ok := seen[in.key()]; ok {
			t.Errorf("%s changes the key as %s does", v.Field(i).Name, other)
		}
		seen[in.key()] = v.Field(i).Name
	}
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(base.key()) {
		t.Errorf("key %q is not hex SHA-256", base.key())
	}
}

// A key is stored for years: it must not depend on anything but its inputs.
func TestKeyStays(t *testing.T) {
	in := Inputs{Version: "v3.7.3", Failpoint: true, Gofail: "v0.2.0", Go: "go1.26.8", Toolchain: "local", OS: "linux", Arch: "amd64", Recipe: 2}
	const want = "ce65ed28637275f94a1cabb1d9d4803e5fc4a96dbfb3f70104a09c6885c4f6af"
	if got := in.key(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The generator that is linked in must be of the version that images require.
func TestGofailVersion(t *testing.T) {
	b, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	f, err := modfile.Parse("go.mod", b, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range f.Require {
		if r.Mod.Path == gofailModule && r.Mod.Version == gofailVersion {
			return
		}
	}
	t.Errorf("go.mod does not require %s %s", gofailModule, gofailVersion)
}

func TestDefaultDir(t *testing.T) {
	t.Setenv("HOME", "/home/u")
	for xdg, want := range map[string]string{
		"":           "/home/u/.cache/etcdlab",
		"/var/cache": "/var/cache/etcdlab",
		"relative":   "/home/u/.cache/etcdlab",
	} {
		t.Setenv("XDG_CACHE_HOME", xdg)
		if got, err := DefaultDir(); got != filepath.FromSlash(want) || err != nil {
			t.Errorf("XDG_CACHE_HOME=%q: got %q, %v; want %q", xdg, got, err, want)
		}
	}
}
