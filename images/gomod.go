package images

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// editMod changes the go.mod file in dir.
func editMod(dir string, edit func(*modfile.File) error) error {
	name := filepath.Join(dir, "go.mod")
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f, err := modfile.Parse(name, b, nil)
	if err != nil {
		return err
	}
	if err := edit(f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	f.Cleanup()
	if b, err = f.Format(); err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o644)
}

// pinSiblings makes a module on its own use the other modules of its release
// from the proxy. In etcd's repository they replace one another by directories,
// and what the require lines say need not be that release: those of
// v3.8.0-alpha.0 still say v3.7.0-beta.0. client/v2 has versions of its own.
func pinSiblings(f *modfile.File, version string) error {
	for _, r := range f.Replace {
		if r.New.Version != "" || !strings.HasPrefix(r.Old.Path, "go.etcd.io/etcd/") || !strings.HasSuffix(r.Old.Path, "/v3") {
			continue
		}
		required := slices.ContainsFunc(f.Require, func(q *modfile.Require) bool { return q.Mod.Path == r.Old.Path })
		if !required {
			continue
		}
		if err := f.AddRequire(r.Old.Path, version); err != nil {
			return err
		}
	}
	return dropLocalReplaces(f)
}

// dropLocalReplaces removes the replacements of modules by directories.
func dropLocalReplaces(f *modfile.File) error {
	for _, r := range f.Replace {
		if r.New.Version != "" {
			continue
		}
		if err := f.DropReplace(r.Old.Path, r.Old.Version); err != nil {
			return err
		}
	}
	return nil
}

// replaceWith makes the module in dir use exactly these others from their
// directories. The paths are relative, because they get into the binaries, and
// equal inputs have to give equal binaries wherever they are built.
func replaceWith(dir string, modules []module) error {
	return editMod(dir, func(f *modfile.File) error {
		if err := dropLocalReplaces(f); err != nil {
			return err
		}
		for _, m := range modules {
			if m.dir == dir {
				continue
			}
			if err := addReplace(f, dir, m); err != nil {
				return err
			}
		}
		return nil
	})
}

func addReplace(f *modfile.File, dir string, m module) error {
	rel, err := filepath.Rel(dir, m.dir)
	if err != nil {
		return err
	}
	// Without a leading dot the go command takes it for a module's path.
	rel = filepath.ToSlash(rel)
	if rel[0] != '.' {
		rel = "./" + rel
	}
	return f.AddReplace(m.path, "", rel, "")
}

// required is the version of a module that the go.mod file in dir requires, as
// it stands; empty if it does not.
func required(dir, mod string) (string, error) {
	name := filepath.Join(dir, "go.mod")
	b, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	f, err := modfile.Parse(name, b, nil)
	if err != nil {
		return "", err
	}
	for _, r := range f.Require {
		if r.Mod.Path == mod {
			return r.Mod.Version, nil
		}
	}
	return "", nil
}
