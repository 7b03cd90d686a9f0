package images

import (
	"fmt"
	"go/build"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// module is one Go module's sources in a directory that may be written to.
type module struct{ path, dir string }

// platform is what binaries are made for. cgo is always off: the result must be
// static.
func platform(goos, goarch string) *build.Context {
	c := build.Default
	c.GOOS, c.GOARCH, c.CgoEnabled, c.BuildTags = goos, goarch, false, nil
	return &c
}

// goFile is one source file that becomes part of a binary.
type goFile struct {
	module module
	pkg    string // import path
	name   string // slash-separated, relative to its module
}

func (f goFile) path() string { return filepath.Join(f.module.dir, filepath.FromSlash(f.name)) }

// linked lists the files, among those of the modules, that the package root
// links in on the platform. Only their failpoints end up in the binary, so a
// plain search for comments would promise points that it does not have.
func linked(on *build.Context, root string, modules []module) ([]goFile, error) {
	var files []goFile
	seen := map[string]bool{}
	var visit func(pkg string) error
	visit = func(pkg string) error {
		if seen[pkg] {
			return nil
		}
		seen[pkg] = true
		m, ok := owner(pkg, modules)
		if !ok {
			return nil
		}
		rel := strings.TrimPrefix(strings.TrimPrefix(pkg, m.path), "/")
		p, err := on.ImportDir(filepath.Join(m.dir, filepath.FromSlash(rel)), 0)
		if err != nil {
			return fmt.Errorf("package %s: %w", pkg, err)
		}
		for _, name := range p.GoFiles {
			files = append(files, goFile{m, pkg, path.Join(rel, name)})
		}
		for _, imp := range p.Imports {
			if err := visit(imp); err != nil {
				return err
			}
		}
		return nil
	}
	err := visit(root)
	return files, err
}

// owner is the module that an import path belongs to: the one with the longest
// matching path.
func owner(pkg string, modules []module) (module, bool) {
	var best module
	for _, m := range modules {
		if (pkg == m.path || strings.HasPrefix(pkg, m.path+"/")) && len(m.path) > len(best.path) {
			best = m
		}
	}
	return best, best.path != ""
}

// failpoints lists the points of the files, sorted by name. With write it also
// turns them into code, in place. Names must be unique, since gofail's runtime
// panics at start on a second one.
func failpoints(files []goFile, write bool) ([]Failpoint, error) {
	var all []Failpoint
	at := map[string]string{}
	for _, f := range files {
		src, err := os.ReadFile(f.path())
		if err != nil {
			return nil, err
		}
		out, binding, points, err := enable(src)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		for _, p := range points {
			if other, ok := at[p.name]; ok {
				return nil, fmt.Errorf("failpoint %s is both in %s and in %s", p.name, other, f.name)
			}
			at[p.name] = f.name
			all = append(all, Failpoint{Name: p.name, Package: f.pkg, File: f.name, Type: p.typ})
		}
		if !write || len(points) == 0 {
			continue
		}
		generated := strings.TrimSuffix(f.path(), ".go") + ".fail.go"
		if err := os.WriteFile(f.path(), out, 0o644); err != nil {
			return nil, err
		}
		if err := os.WriteFile(generated, binding, 0o644); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b Failpoint) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}
