package images

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// toolsEnv names where the tools are, for machines that can neither copy nor
// fetch them, such as those of macOS: a directory that has them as a system's
// root directory does, or a container image as `etcdlab images export` or
// `docker save` writes it.
const toolsEnv = "ETCDLAB_TOOLS"

func (s *Store) namedTools(ctx context.Context, from, arch string) (Tools, error) {
	fail := func(reason, next string, err error) error {
		return &Error{Kind: Usage, Op: "take tools from", Object: toolsEnv + "=" + from, Reason: reason, Next: next, Err: err}
	}
	from, err := filepath.Abs(from)
	if err != nil {
		return Tools{}, err
	}
	st, err := os.Stat(from)
	if err != nil {
		return Tools{}, fail("cannot be read", "name a directory, or what `etcdlab images export` wrote", err)
	}
	why := func(tool, pkg string, err error) string {
		if err != nil {
			return fmt.Sprintf("the %s in %s=%s cannot be used: %v", tool, toolsEnv, from, err)
		}
		return fmt.Sprintf("%s is not in %s=%s: it needs the Debian package %s for %s", tool, toolsEnv, from, pkg, arch)
	}
	if st.IsDir() {
		return installed(from, arch, why)
	}
	image, err := tarball.ImageFromPath(from, nil)
	if err != nil {
		return Tools{}, fail("is no container image", "name what `etcdlab images export --arch "+arch+"` wrote", err)
	}
	hash, err := sumOf(from)
	if err != nil {
		return Tools{}, err
	}
	a, err := s.Make(ctx, Making{Kind: "tools", Name: filepath.Base(from), Arch: arch,
		Inputs: struct {
			Image  string `json:"image"`
			Arch   string `json:"arch"`
			Recipe int    `json:"recipe"`
		}{hash, arch, toolsRecipe},
		Make: func(ctx context.Context, work, out string) (any, error) {
			root := filepath.Join(work, "root")
			files := mutate.Extract(image)
			defer files.Close()
			if err := unpack(ctx, files, root); err != nil {
				return nil, fail("cannot be unpacked", "export it again", err)
			}
			t, err := installed(root, arch, why)
			return t, errors.Join(err, t.keep(out))
		}})
	if err != nil {
		return Tools{}, err
	}
	return keptTools(a)
}

// unpack unpacks a tar of an image's files into a new directory, without what a
// member has of its own. Nothing gets out of the directory, whatever the
// entries are called.
func unpack(ctx context.Context, files io.Reader, dir string) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for in := tar.NewReader(files); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		name := path.Clean("/" + h.Name)[1:]
		if name == "" || slices.Contains(append(binaryNames, "etcdlab"), path.Base(name)) {
			continue
		}
		if err := unpackEntry(root, name, h, in); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

func unpackEntry(root *os.Root, name string, h *tar.Header, in io.Reader) error {
	if !slices.Contains([]byte{tar.TypeReg, tar.TypeSymlink, tar.TypeLink}, h.Typeflag) {
		return nil
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return root.Link(path.Clean("/" + h.Linkname)[1:], name)
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, in)
	return errors.Join(err, f.Close())
}
