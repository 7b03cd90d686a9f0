package images

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func exampleManifest() Image {
	in := Inputs{Version: "v3.7.3", Failpoint: true, Gofail: gofailVersion, Go: "go1.26.8", OS: "linux", Arch: "amd64", Recipe: 1}
	return Image{Key: in.key(), Version: "v3.7.3", Inputs: in, Created: time.Unix(1, 0).UTC(),
		Failpoints: []Failpoint{{"raftBeforeSave", serverModule + "/etcdserver", "etcdserver/raft.go", "struct{}"}}}
}

func TestDecodeManifestIsStrict(t *testing.T) {
	good, err := json.Marshal(exampleManifest())
	must(t, err)
	if _, err := decodeManifest(good); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]string{
		"empty":         "",
		"another type":  "[]",
		"unknown field": strings.Replace(string(good), `{"key"`, `{"surprise":1,"key"`, 1),
		"trailing":      string(good) + "{}",
		"other inputs":  strings.Replace(string(good), `"recipe":1`, `"recipe":2`, 1),
		"cut":           string(good[:len(good)-10]),
	} {
		if img, err := decodeManifest([]byte(b)); err == nil {
			t.Errorf("%s: accepted as %v", name, img)
		}
	}
}

func FuzzDecodeManifest(f *testing.F) {
	good, err := json.Marshal(exampleManifest())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"inputs":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := decodeManifest(b)
		if err != nil {
			return
		}
		if img.Key != img.Inputs.key() {
			t.Errorf("accepted key %q for inputs %+v", img.Key, img.Inputs)
		}
		again, err := json.Marshal(img)
		if err != nil {
			t.Skip(err) // a year past 9999
		}
		if _, err := decodeManifest(again); err != nil {
			t.Errorf("own manifest refused: %v", err)
		}
	})
}

func TestLoadWantsItsOwnDirectory(t *testing.T) {
	made := 0
	s := fakeStore(t, t.TempDir(), &made)
	img := mustBuild(t, s, Request{Version: "v3.5.4"})
	other := s.entry(strings.Repeat("0", 64))
	must(t, os.Rename(img.Dir, other))
	if _, err := load(other); err == nil {
		t.Error("loaded an entry under another's key")
	}
	if _, err := os.Stat(filepath.Join(other, manifestName)); err != nil {
		t.Error(err)
	}
}
