package images

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// cake makes an artifact of one little file.
func cake(kind string, input any, of ...string) Making {
	return Making{Kind: kind, Name: "cake", Arch: "amd64", Of: of, Inputs: input,
		Make: func(_ context.Context, work, out string) (any, error) {
			if err := os.WriteFile(filepath.Join(work, "flour"), []byte("flour"), 0o644); err != nil {
				return nil, err
			}
			return "sweet", copyFile(filepath.Join(work, "flour"), filepath.Join(out, "deep", "cake"))
		}}
}

func mustMake(t *testing.T, s *Store, m Making) Artifact {
	t.Helper()
	a, err := s.Make(bg, m)
	must(t, err)
	return a
}

func TestArtifactIsMadeOnce(t *testing.T) {
	s, err := Open(t.TempDir())
	must(t, err)
	first := mustMake(t, s, cake("guest", 1))
	var facts string
	if err := json.Unmarshal(first.Facts, &facts); err != nil || facts != "sweet" {
		t.Errorf("facts %s, %v", first.Facts, err)
	}
	if b, err := os.ReadFile(first.Path("deep/cake")); err != nil || string(b) != "flour" || first.Size != 5 {
		t.Errorf("%q, %d bytes, %v", b, first.Size, err)
	}
	again := cake("guest", 1)
	again.Make = func(context.Context, string, string) (any, error) { return nil, errors.New("made twice") }
	if d := cmp.Diff(first, mustMake(t, s, again)); d != "" {
		t.Error(d)
	}
	if other := mustMake(t, s, cake("agent", 1)); other.Key == first.Key {
		t.Error("another kind has the same key")
	}
	if other := mustMake(t, s, cake("guest", 2)); other.Key == first.Key {
		t.Error("another input has the same key")
	}
	if all, err := s.Artifacts(); err != nil || len(all) != 3 || len(left(t, s.tmp())) != 0 {
		t.Errorf("%v, %v; left in tmp %v", all, err, left(t, s.tmp()))
	}
	if etcds, err := s.List(); err != nil || len(etcds) != 0 {
		t.Errorf("etcd builds: %v, %v", etcds, err)
	}
}

func TestBrokenArtifactsAreMadeAgain(t *testing.T) {
	for name, damage := range map[string]func(a Artifact) error{
		"file gone":       func(a Artifact) error { return os.Remove(a.Path("deep/cake")) },
		"file cut short":  func(a Artifact) error { return os.Truncate(a.Path("deep/cake"), 1) },
		"no manifest":     func(a Artifact) error { return os.Remove(a.Path(artifactName)) },
		"half a manifest": func(a Artifact) error { return os.Truncate(a.Path(artifactName), 80) },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.TempDir())
			must(t, err)
			must(t, damage(mustMake(t, s, cake("guest", 1))))
			if all, err := s.Artifacts(); len(all) != 0 || err != nil {
				t.Errorf("listed: %v, %v", all, err)
			}
			a := mustMake(t, s, cake("guest", 1))
			if _, err := os.Stat(a.Path("deep/cake")); err != nil || len(left(t, s.tmp())) != 0 {
				t.Errorf("%v, left in tmp %v", err, left(t, s.tmp()))
			}
		})
	}
}

func TestInterruptedMakingLeavesNothing(t *testing.T) {
	s, err := Open(t.TempDir())
	must(t, err)
	ctx, cancel := context.WithCancel(bg)
	m := cake("guest", 1)
	make := m.Make
	m.Make = func(ctx context.Context, work, out string) (any, error) {
		cancel()
		return make(ctx, work, out)
	}
	if _, err := s.Make(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if l := append(left(t, s.made()), left(t, s.tmp())...); len(l) != 0 {
		t.Errorf("left: %v", l)
	}
}

func TestRemoveTakesWhatWasMadeOfIt(t *testing.T) {
	made := 0
	s := fakeStore(t, t.TempDir(), &made)
	etcd := mustBuild(t, s, Request{Version: "v3.5.4"})
	other := mustBuild(t, s, Request{Version: "v3.5.5"})
	agent := mustMake(t, s, cake("agent", 1))
	a := mustMake(t, s, cake("container", 1, etcd.Key, agent.Key))
	mustMake(t, s, cake("guest", 1, a.Key))
	kept := mustMake(t, s, cake("container", 2, other.Key, agent.Key))

	l, err := tryLock(s.locks(), a.Key)
	must(t, err)
	if _, err := s.Remove("v3.5.4"); kindOf(err) != Build {
		t.Errorf("removed what is being made: %v", err)
	}
	l.unlock()
	if _, ok, err := s.Find(bg, Request{Version: "v3.5.4"}); !ok || err != nil {
		t.Errorf("a build was removed before what was made of it: %v", err)
	}
	if n, err := s.Remove("v3.5.4"); n < 2 || err != nil {
		t.Errorf("%d removed, %v", n, err)
	}
	all, err := s.Artifacts()
	must(t, err)
	if len(all) != 2 || all[0].Key != agent.Key || all[1].Key != kept.Key {
		t.Errorf("left: %+v", all)
	}
	if n, err := s.Remove("container"); n != 1 || err != nil {
		t.Errorf("by kind: %d, %v", n, err)
	}
	if n, err := s.Remove(agent.Key[:10]); n != 1 || err != nil {
		t.Errorf("by key: %d, %v", n, err)
	}
}

func TestPruneKeepsWhatMayBeWanted(t *testing.T) {
	s, err := Open(t.TempDir())
	must(t, err)
	aged := func(m Making, age time.Duration) Artifact {
		a := mustMake(t, s, m)
		a.Created = a.Created.Add(-age)
		must(t, writeJSON(a.Path(artifactName), a))
		return a
	}
	const day = 24 * time.Hour
	used := aged(cake("agent", 1), 9*day)
	gone := aged(cake("agent", 2), 8*day)
	second := aged(cake("agent", 3), 7*day)
	young := aged(cake("agent", 4), time.Minute)
	guest := aged(cake("guest", 1, used.Key), 9*day)
	locked := aged(cake("agent", 5), 9*day)
	l, err := tryLock(s.locks(), locked.Key)
	must(t, err)
	now := mustMake(t, s, cake("agent", 6))
	s.Prune(now)
	l.unlock()
	for _, c := range []struct {
		what string
		a    Artifact
		kept bool
	}{{"used", used, true}, {"old", gone, false}, {"second", second, false}, {"young", young, true}, {"of another kind", guest, true},
		{"locked", locked, true}, {"new", now, true}} {
		if _, err := loadArtifact(c.a.Dir); (err == nil) != c.kept {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

func FuzzDecodeArtifact(f *testing.F) {
	a := Artifact{Kind: "guest", Key: artifactKey("guest", []byte(`{"a":1}`)), Inputs: json.RawMessage(`{"a":1}`), Facts: json.RawMessage("null")}
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		f.Fatal(err)
	}
	if _, err := decodeArtifact(b); err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"kind":"guest"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := decodeArtifact(b); err == nil && a.Key != artifactKey(a.Kind, a.Inputs) {
			t.Errorf("%+v", a)
		}
	})
}
