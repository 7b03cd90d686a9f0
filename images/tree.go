package images

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// tree is a directory of Go sources, and what of it goes into a build.
type tree struct {
	dir   string
	files []string // slash-separated, relative to dir, sorted
	hash  string   // hex SHA-256 of the files' names and contents
}

// skip tells of directories the go command itself would not look into, and of
// those that etcd's own build makes.
func skip(name string) bool {
	switch name {
	case "testdata", "vendor", "bin", "release", "node_modules":
		return true
	}
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

// compiled tells of files that the go command reads in a build without cgo.
func compiled(name string) bool {
	switch path.Ext(name) {
	case ".go", ".s", ".h", ".mod", ".sum":
		return !strings.HasSuffix(name, "_test.go")
	}
	return false
}

// readTree lists and hashes the files of a build: not tests, not pages, not the
// data directory of an etcd that somebody ran there, so that only a change that
// matters asks for another build. Files below a package that embeds some count.
func readTree(ctx context.Context, dir string) (*tree, error) {
	t := &tree{dir: dir}
	sums := map[string][sha256.Size]byte{}
	var others, embed []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if d.IsDir() {
			if p != dir && skip(d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if st, err := os.Stat(p); err != nil || !st.Mode().IsRegular() {
			return nil // a dangling link, a link to a directory, a socket
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if !compiled(rel) {
			others = append(others, rel)
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte("\n//go:embed ")) {
			embed = append(embed, path.Dir(rel))
		}
		t.files, sums[rel] = append(t.files, rel), sha256.Sum256(b)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, rel := range others {
		if !slices.ContainsFunc(embed, func(d string) bool { return d == "." || strings.HasPrefix(rel, d+"/") }) {
			continue
		}
		b, err := os.ReadFile(t.path(rel))
		if err != nil {
			return nil, err
		}
		t.files, sums[rel] = append(t.files, rel), sha256.Sum256(b)
	}
	slices.Sort(t.files)
	all := sha256.New()
	for _, rel := range t.files {
		fmt.Fprintf(all, "%x  %s\n", sums[rel], rel)
	}
	t.hash = hex.EncodeToString(all.Sum(nil))
	return t, nil
}

func (t *tree) path(rel string) string { return filepath.Join(t.dir, filepath.FromSlash(rel)) }

// errChanged means that a tree is not what it was when it was hashed.
var errChanged = errors.New("it changed while it was copied")

// copyTo copies the tree's files into the directory to, and checks that the
// copy is what was hashed: somebody may be editing.
func (t *tree) copyTo(ctx context.Context, to string) error {
	for _, rel := range t.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := copyFile(t.path(rel), filepath.Join(to, filepath.FromSlash(rel)))
		if errors.Is(err, fs.ErrNotExist) {
			return errChanged
		}
		if err != nil {
			return err
		}
	}
	copied, err := readTree(ctx, to)
	if err != nil {
		return err
	}
	if copied.hash != t.hash {
		return errChanged
	}
	return nil
}

// copyFile copies a file, making its directory. The copy is writable whatever
// the original is: files in the module cache are not.
func copyFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

// copyModule copies a module out of the module cache, its tests left out.
func copyModule(ctx context.Context, from, to string) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if d.IsDir() || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		return copyFile(p, filepath.Join(to, rel))
	})
}
