package images

import (
	"cmp"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Store is a cache in a directory: images/KEY holds an etcd build, made/KEY
// what is made of such, tmp/ what is being built, locks/KEY is held while an
// entry is made or removed. Any number of processes may use it at once.
type Store struct {
	AgentSource fs.FS        // what the agent is built from: etcdlab.Source
	Progress    func(string) // told what making an artifact does; may be nil

	dir   string
	build recipe
}

// Open opens the cache in dir, which is made if it does not exist.
func Open(dir string) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: abs, build: compile}
	for _, d := range []string{s.images(), s.made(), s.tmp(), s.locks()} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, &Error{Kind: Environment, Op: "open", Object: "image cache " + abs, Reason: "cannot make it",
				Err: err, Next: "set XDG_CACHE_HOME to a directory you can write to"}
		}
	}
	return s, nil
}

func (s *Store) images() string          { return filepath.Join(s.dir, "images") }
func (s *Store) made() string            { return filepath.Join(s.dir, "made") }
func (s *Store) tmp() string             { return filepath.Join(s.dir, "tmp") }
func (s *Store) locks() string           { return filepath.Join(s.dir, "locks") }
func (s *Store) entry(key string) string { return filepath.Join(s.images(), key) }

// List gives the images in the cache, by version, then newest first. What is
// no complete entry is left out; Build replaces it.
func (s *Store) List() ([]Image, error) {
	dirs, err := os.ReadDir(s.images())
	if err != nil {
		return nil, err
	}
	var all []Image
	for _, d := range dirs {
		if img, err := load(s.entry(d.Name())); err == nil {
			all = append(all, img)
		}
	}
	slices.SortFunc(all, func(a, b Image) int {
		return cmp.Or(compareVersions(a.Version, b.Version), b.Created.Compare(a.Created), cmp.Compare(a.Key, b.Key))
	})
	return all, nil
}

// Find gives the cached image that Build would give, if there is one. Without
// a go command, any image of the request's other inputs will do.
func (s *Store) Find(ctx context.Context, r Request) (Image, bool, error) {
	p, err := s.plan(ctx, r)
	if err != nil {
		return Image{}, false, err
	}
	return s.find(p)
}

func (s *Store) find(p plan) (Image, bool, error) {
	if p.goTool != nil {
		img, err := load(s.entry(p.in.key()))
		return img, err == nil, nil
	}
	all, err := s.List()
	if err != nil {
		return Image{}, false, err
	}
	i := slices.IndexFunc(all, func(img Image) bool { return img.Inputs.anyGo() == p.in.anyGo() })
	if i < 0 {
		return Image{}, false, nil
	}
	return all[i], true, nil
}
