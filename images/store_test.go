package images

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var bg = context.Background()

func mustBuild(t *testing.T, s *Store, r Request) Image {
	t.Helper()
	img, err := s.Build(bg, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func kindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

func TestSecondBuildDoesNothing(t *testing.T) {
	made := 0
	s := fakeStore(t, t.TempDir(), &made)
	first := mustBuild(t, s, Request{Version: "v3.5.4"})
	again, err := s.Build(bg, Request{Version: "3.5.4"}, func(line string) { t.Errorf("told %q", line) })
	if err != nil || made != 1 {
		t.Fatalf("%d builds, %v", made, err)
	}
	if d := cmp.Diff(first, again); d != "" {
		t.Error(d)
	}
	if found, ok, err := s.Find(bg, Request{Version: "v3.5.4"}); !ok || err != nil || found.Key != first.Key {
		t.Errorf("Find: %v, %v, %v", found.Key, ok, err)
	}
	for _, other := range []Request{{Version: "v3.5.5"}, {Version: "v3.5.4", NoFailpoints: true}, {Version: "v3.5.4", BboltFailpoints: true}, {Version: "v3.5.4", Arch: "riscv64"}} {
		if _, ok, err := s.Find(bg, other); ok || err != nil {
			t.Errorf("%+v: found %v, %v", other, ok, err)
		}
		mustBuild(t, s, other)
	}
	if made != 5 {
		t.Errorf("%d builds, want 5", made)
	}
	if l := left(t, s.tmp()); len(l) != 0 {
		t.Errorf("left in tmp: %v", l)
	}
}

func TestBadRequests(t *testing.T) {
	made := 0
	s := fakeStore(t, t.TempDir(), &made)
	for _, r := range []Request{
		{}, {Version: "v3.5.4", Source: "."}, {Version: "3.4.0"}, {Source: "/no/such/directory"},
		{Version: "v3.5.4", NoFailpoints: true, BboltFailpoints: true},
	} {
		if _, err := s.Build(bg, r, nil); kindOf(err) != Usage {
			t.Errorf("%+v: %v is no usage error", r, err)
		}
	}
	if made != 0 {
		t.Errorf("built %d", made)
	}
}

func TestWithoutGoCommandTheCacheServes(t *testing.T) {
	made := 0
	s := fakeStore(t, t.TempDir(), &made)
	img := mustBuild(t, s, Request{Version: "v3.5.4"})
	t.Setenv("PATH", t.TempDir())
	if found, err := s.Build(bg, Request{Version: "v3.5.4"}, nil); err != nil || found.Key != img.Key {
		t.Errorf("got %v, %v", found.Key, err)
	}
	if _, err := s.Build(bg, Request{Version: "v3.5.5"}, nil); kindOf(err) != Environment || !errors.Is(err, errNoGo) {
		t.Errorf("got %v", err)
	}
	if _, err := s.ListFailpoints(bg, Request{Version: "v3.5.5"}); kindOf(err) != Environment {
		t.Errorf("got %v", err)
	}
	if points, err := s.ListFailpoints(bg, Request{Version: "v3.5.4"}); err != nil || len(points) != 1 {
		t.Errorf("got %v, %v", points, err)
	}
}

func TestBrokenEntriesAreBuiltAgain(t *testing.T) {
	breaks := map[string]func(t *testing.T, img Image){
		"binary gone":      func(t *testing.T, img Image) { must(t, os.Remove(img.Binaries["etcdctl"])) },
		"binary cut short": func(t *testing.T, img Image) { must(t, os.Truncate(img.Binaries["etcd"], 1)) },
		"not executable":   func(t *testing.T, img Image) { must(t, os.Chmod(img.Binaries["etcd"], 0o644)) },
		"no manifest":      func(t *testing.T, img Image) { must(t, os.Remove(filepath.Join(img.Dir, manifestName))) },
		"half a manifest":  func(t *testing.T, img Image) { must(t, os.Truncate(filepath.Join(img.Dir, manifestName), 100)) },
		"a file": func(t *testing.T, img Image) {
			must(t, os.RemoveAll(img.Dir))
			must(t, os.WriteFile(img.Dir, nil, 0o644))
		},
	}
	for name, damage := range breaks {
		t.Run(name, func(t *testing.T) {
			made := 0
			s := fakeStore(t, t.TempDir(), &made)
			damage(t, mustBuild(t, s, Request{Version: "v3.5.4"}))
			if all, err := s.List(); len(all) != 0 || err != nil {
				t.Errorf("listed: %v, %v", all, err)
			}
			mustBuild(t, s, Request{Version: "v3.5.4"})
			if made != 2 || len(left(t, s.tmp())) != 0 {
				t.Errorf("%d builds, left in tmp %v", made, left(t, s.tmp()))
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestListAndRemove(t *testing.T) {
	made := 0
	s := fakeStore(t, t.TempDir(), &made)
	a := mustBuild(t, s, Request{Version: "v3.5.10"})
	b := mustBuild(t, s, Request{Version: "v3.5.9"})
	c := mustBuild(t, s, Request{Version: "v3.5.9", NoFailpoints: true})
	all, err := s.List()
	must(t, err)
	var keys []string
	for _, img := range all {
		keys = append(keys, img.Key)
	}
	if d := cmp.Diff([]string{c.Key, b.Key, a.Key}, keys); d != "" {
		t.Errorf("order by version, then newest first: %s", d)
	}
	for what, want := range map[string]Kind{"v3.6.0": Usage, "0123456789": Usage, "nonsense": Usage, "abc": Usage} {
		if n, err := s.Remove(what); n != 0 || kindOf(err) != want {
			t.Errorf("Remove(%q): %d, %v", what, n, err)
		}
	}
	l, err := tryLock(s.locks(), a.Key)
	must(t, err)
	if n, err := s.Remove(a.Key); n != 0 || err == nil {
		t.Errorf("removed %d while it is being built, %v", n, err)
	}
	l.unlock()
	if n, err := s.Remove("3.5.9"); n != 2 || err != nil {
		t.Errorf("by version: %d, %v", n, err)
	}
	if n, err := s.Remove(a.Key[:12]); n != 1 || err != nil {
		t.Errorf("by prefix: %d, %v", n, err)
	}
	if l := append(left(t, s.images()), left(t, s.tmp())...); len(l) != 0 {
		t.Errorf("left: %v", l)
	}
}

func TestCacheCanBeMoved(t *testing.T) {
	made := 0
	from, to := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	mustBuild(t, fakeStore(t, from, &made), Request{Version: "v3.5.4"})
	must(t, os.Rename(from, to))
	img := mustBuild(t, fakeStore(t, to, &made), Request{Version: "v3.5.4"})
	if made != 1 || img.Binaries["etcd"] != filepath.Join(to, "images", img.Key, "bin", "etcd") {
		t.Errorf("%d builds, %v", made, img.Binaries)
	}
}
