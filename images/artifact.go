package images

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Artifact is a cache entry other than an etcd build: an agent, a container
// image, what a virtual machine boots. Its JSON form is the entry's manifest.
type Artifact struct {
	Kind    string           `json:"kind"` // agent, tools, container, guest
	Key     string           `json:"key"`  // hex, of the kind and all the inputs
	Name    string           `json:"name"` // for people
	Arch    string           `json:"arch"`
	Of      []string         `json:"of"` // keys of the entries it was made of
	Dir     string           `json:"dir"`
	Files   map[string]int64 `json:"files"` // their sizes in bytes
	Size    int64            `json:"size"`
	Created time.Time        `json:"created"`
	Inputs  json.RawMessage  `json:"inputs"`
	Facts   json.RawMessage  `json:"facts"` // what else Making.Make had to say
}

// Path is where one of its files is.
func (a Artifact) Path(name string) string { return filepath.Join(a.Dir, filepath.FromSlash(name)) }

// artifactName is the file that says what an artifact is.
const artifactName = "artifact.json"

// Making says what artifact is wanted and how it comes to be.
type Making struct {
	Kind, Name, Arch string
	Of               []string // removing one of these removes the artifact too
	Inputs           any      // everything that decides the result, as JSON
	// Make makes the files in the directory out, working in the directory
	// work; it gives what else is to be known, as JSON. It ends with ctx.
	Make func(ctx context.Context, work, out string) (facts any, err error)
}

// Make gives the artifact, from the cache or by making it. The rules are those
// of Build. An error of Make's function is passed on as it is.
func (s *Store) Make(ctx context.Context, m Making) (a Artifact, err error) {
	inputs, err := json.Marshal(m.Inputs)
	if err != nil {
		return Artifact{}, err
	}
	key := artifactKey(m.Kind, inputs)
	entry := filepath.Join(s.made(), key)
	find := func() (bool, error) {
		var err error
		a, err = loadArtifact(entry)
		return err == nil, nil
	}
	if ok, _ := find(); ok {
		return a, nil
	}
	waiting := func() { s.tell("waiting for another process that makes the %s %s", m.Kind, m.Name) }
	err = s.once(ctx, entry, waiting, find, func(work, out string) error {
		facts, err := m.Make(ctx, work, out)
		if err != nil {
			return err
		}
		a := Artifact{Kind: m.Kind, Key: key, Name: m.Name, Arch: m.Arch, Of: m.Of, Dir: entry, Inputs: inputs, Created: time.Now().UTC()}
		if a.Facts, err = json.Marshal(facts); err != nil {
			return err
		}
		if a.Files, a.Size, err = sizes(out); err != nil {
			return err
		}
		return writeJSON(filepath.Join(out, artifactName), a)
	})
	if err != nil || a.Key != "" {
		return a, err
	}
	return loadArtifact(entry)
}

func (s *Store) tell(format string, args ...any) {
	if s.Progress != nil {
		s.Progress(fmt.Sprintf(format, args...))
	}
}

// Artifacts gives what is in the cache beside etcd builds, by kind, name and
// architecture, then newest first.
func (s *Store) Artifacts() ([]Artifact, error) {
	dirs, err := os.ReadDir(s.made())
	if err != nil {
		return nil, err
	}
	var all []Artifact
	for _, d := range dirs {
		if a, err := loadArtifact(filepath.Join(s.made(), d.Name())); err == nil {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b Artifact) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch),
			b.Created.Compare(a.Created), cmp.Compare(a.Key, b.Key))
	})
	return all, nil
}

func artifactKey(kind string, inputs []byte) string {
	sum := sha256.Sum256(append([]byte(kind+"\n"), inputs...))
	return hex.EncodeToString(sum[:])
}

// decodeArtifact reads a manifest strictly: an entry of another program, or of
// another version of this one, is no entry.
func decodeArtifact(b []byte) (Artifact, error) {
	var a Artifact
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return Artifact{}, err
	}
	if d.More() {
		return Artifact{}, errors.New("more after the manifest")
	}
	var inputs, facts bytes.Buffer
	if err := errors.Join(json.Compact(&inputs, a.Inputs), json.Compact(&facts, a.Facts)); err != nil {
		return Artifact{}, err
	}
	a.Inputs, a.Facts = inputs.Bytes(), facts.Bytes()
	if a.Key != artifactKey(a.Kind, a.Inputs) {
		return Artifact{}, fmt.Errorf("key %q is not that of its inputs", a.Key)
	}
	return a, nil
}

// loadArtifact reads the entry in dir. It fails if that is none, or lacks a
// file at the size it was made with. Paths are those of dir: a cache may be
// moved.
func loadArtifact(dir string) (Artifact, error) {
	b, err := os.ReadFile(filepath.Join(dir, artifactName))
	if err != nil {
		return Artifact{}, err
	}
	a, err := decodeArtifact(b)
	if err != nil {
		return Artifact{}, fmt.Errorf("%s: %w", filepath.Join(dir, artifactName), err)
	}
	if a.Key != filepath.Base(dir) {
		return Artifact{}, fmt.Errorf("%s: manifest is that of %s", dir, a.Key)
	}
	a.Dir = dir
	for name, size := range a.Files {
		if st, err := os.Stat(a.Path(name)); err != nil {
			return Artifact{}, err
		} else if st.Size() != size {
			return Artifact{}, fmt.Errorf("%s has %d bytes, made were %d", a.Path(name), st.Size(), size)
		}
	}
	return a, nil
}

func sizes(dir string) (files map[string]int64, sum int64, err error) {
	files = map[string]int64{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		files[filepath.ToSlash(rel)] = st.Size()
		sum += st.Size()
		return err
	})
	return files, sum, err
}
