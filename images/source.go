package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// source is a local etcd tree, with the directories outside it that its go.mod
// files replace modules with: a bbolt under development, say.
type source struct {
	*tree
	outside map[string]*tree // by module path
	hash    string           // hex SHA-256 of all of it
	version string           // as the tree itself says, like v3.7.3
}

// versionFile is where the tree says what `etcd --version` prints.
const versionFile = "api/version/version.go"

var versionLine = regexp.MustCompile(`(?m)^\s*Version\s*=\s*"([^"]+)"`)

// openSource reads a tree. It fails with a Usage error if that is not one of
// etcd 3.5 or later.
func openSource(ctx context.Context, dir string) (*source, error) {
	s, err := readSource(ctx, dir)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, &Error{Kind: Usage, Op: "read source tree", Object: dir, Reason: "not an etcd tree that can be built", Err: err,
			Next: "give the top directory of a complete etcd tree, 3.5 or later"}
	}
	return s, nil
}

func readSource(ctx context.Context, dir string) (*source, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, err
	}
	s := &source{outside: map[string]*tree{}}
	for _, t := range targets {
		b, err := os.ReadFile(filepath.Join(abs, t.dir, "go.mod"))
		if err != nil {
			return nil, err
		}
		if got := modfile.ModulePath(b); got != t.module {
			return nil, fmt.Errorf("%s/go.mod is of module %q, not %q", t.dir, got, t.module)
		}
	}
	b, err := os.ReadFile(filepath.Join(abs, filepath.FromSlash(versionFile)))
	if err != nil {
		return nil, err
	}
	m := versionLine.FindSubmatch(b)
	if m == nil {
		return nil, fmt.Errorf("%s has no Version", versionFile)
	}
	if s.version, err = NormalizeVersion(string(m[1])); err != nil {
		return nil, fmt.Errorf("%s: %w", versionFile, err)
	}
	if s.tree, err = readTree(ctx, abs); err != nil {
		return nil, err
	}
	if err := s.readOutside(ctx); err != nil {
		return nil, err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, s.tree.hash)
	for _, mod := range s.outsideModules() {
		fmt.Fprintln(sum, mod, s.outside[mod].hash)
	}
	s.hash = hex.EncodeToString(sum.Sum(nil))
	return s, nil
}

// readOutside reads the directories outside the tree that the binaries' modules
// replace others with. Replace directives of other modules have no effect.
func (s *source) readOutside(ctx context.Context) error {
	for _, t := range targets {
		name := filepath.Join(s.dir, t.dir, "go.mod")
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := modfile.Parse(name, b, nil)
		if err != nil {
			return err
		}
		for _, r := range f.Replace {
			to := r.New.Path
			if r.New.Version != "" {
				continue
			}
			if !filepath.IsAbs(to) {
				to = filepath.Join(s.dir, t.dir, filepath.FromSlash(to))
			}
			if _, err := os.Stat(filepath.Join(to, "go.mod")); err != nil {
				return fmt.Errorf("%s/go.mod replaces %s: %w", t.dir, r.Old.Path, err)
			}
			if to = filepath.Clean(to); strings.HasPrefix(to, s.dir+string(filepath.Separator)) {
				continue
			}
			if s.outside[r.Old.Path], err = readTree(ctx, to); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *source) outsideModules() []string {
	var mods []string
	for mod := range s.outside {
		mods = append(mods, mod)
	}
	slices.Sort(mods)
	return mods
}

// modules are all modules of the tree and outside it, where they are now.
func (s *source) modules() ([]module, error) {
	var all []module
	for _, mod := range s.outsideModules() {
		all = append(all, module{mod, s.outside[mod].dir})
	}
	for _, rel := range s.files {
		if path.Base(rel) != "go.mod" {
			continue
		}
		b, err := os.ReadFile(s.path(rel))
		if err != nil {
			return nil, err
		}
		if p := modfile.ModulePath(b); p != "" && s.outside[p] == nil {
			all = append(all, module{p, filepath.Dir(s.path(rel))})
		}
	}
	return all, nil
}

// copyTo copies all of the source below dir and gives the copy, whose go.mod
// files use one another, whether the original did that by replace directives or
// by a go.work file.
func (s *source) copyTo(ctx context.Context, dir string) (*source, error) {
	c := &source{tree: &tree{filepath.Join(dir, "etcd"), s.files, s.tree.hash}, outside: map[string]*tree{}, hash: s.hash, version: s.version}
	if err := s.tree.copyTo(ctx, c.dir); err != nil {
		return nil, err
	}
	for i, mod := range s.outsideModules() {
		t := s.outside[mod]
		c.outside[mod] = &tree{filepath.Join(dir, "outside", fmt.Sprint(i)), t.files, t.hash}
		if err := t.copyTo(ctx, c.outside[mod].dir); err != nil {
			return nil, err
		}
	}
	all, err := c.modules()
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if err := replaceWith(filepath.Join(c.dir, t.dir), all); err != nil {
			return nil, err
		}
	}
	return c, nil
}
