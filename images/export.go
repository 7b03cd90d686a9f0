package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// ExportFormats lists what ExportContainer can write, the default first:
// "docker" is what `docker save` writes, "oci" a tar of an OCI image layout.
var ExportFormats = []string{"docker", "oci"}

// CheckExport says what is wrong with a format and a path, before an image is
// made for them.
func CheckExport(format, path string) error {
	bad := func(reason, next string) *Error {
		return &Error{Kind: Usage, Op: "export", Object: path, Reason: reason, Next: next}
	}
	if !slices.Contains(ExportFormats, format) {
		return bad(fmt.Sprintf("format %q is none", format), "use one of "+strings.Join(ExportFormats, ", "))
	}
	if path == "-" {
		return nil
	}
	if i, err := os.Stat(path); err == nil && i.IsDir() {
		return bad("it is a directory", "name a file in it")
	}
	if i, err := os.Stat(filepath.Dir(path)); err != nil || !i.IsDir() {
		return bad("there is no directory "+filepath.Dir(path), "make it, or name a file elsewhere")
	}
	return nil
}

// ExportContainer writes the container image to path, which appears whole or
// not at all, or to w if path is "-". The same image gives the same bytes.
func (s *Store) ExportContainer(ctx context.Context, c Container, format, path string, w io.Writer) error {
	fail := func(kind Kind, reason, next string) *Error {
		return &Error{Kind: kind, Op: "export", Object: c.Reference, Reason: reason, Next: next}
	}
	if err := CheckExport(format, path); err != nil {
		return err
	}
	write := func(w io.Writer) error {
		w = &untilDone{ctx, w}
		if format == "docker" {
			return copyTo(w, c.Archive)
		}
		return s.writeLayout(w, c)
	}
	if path == "-" {
		return wrap(write(w), fail)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		e := fail(Usage, "cannot write it to "+path, "name a file in a directory you can write to")
		e.Err = err
		return e
	}
	err = errors.Join(write(f), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return wrap(err, fail)
}

// untilDone ends a copy when a context ends.
type untilDone struct {
	ctx context.Context
	w   io.Writer
}

func (u *untilDone) Write(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(b)
}

func copyTo(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// writeLayout writes the archive's image as a tar of an OCI image layout. Its
// layers are compressed, since it is on its way to a registry.
func (s *Store) writeLayout(w io.Writer, c Container) (err error) {
	archive, err := tarball.ImageFromPath(c.Archive, nil)
	if err != nil {
		return err
	}
	image, err := compressed(archive)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(s.tmp(), c.Key+".")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	p, err := layout.Write(work, empty.Index)
	if err != nil {
		return err
	}
	annotations := map[string]string{"org.opencontainers.image.ref.name": c.Reference}
	platform := v1.Platform{OS: imageOS, Architecture: c.Arch}
	if err := p.AppendImage(image, layout.WithAnnotations(annotations), layout.WithPlatform(platform)); err != nil {
		return err
	}
	return tarDir(w, work)
}

// compressed is the image with OCI's media types.
func compressed(image v1.Image) (v1.Image, error) {
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	oci := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for i, l := range layers {
		zipped, err := tarball.LayerFromOpener(l.Uncompressed, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
		if err != nil {
			return nil, err
		}
		if oci, err = mutate.Append(oci, mutate.Addendum{Layer: zipped, History: config.History[i], MediaType: types.OCILayer}); err != nil {
			return nil, err
		}
	}
	return mutate.ConfigFile(oci, config)
}

// tarDir writes a directory's files, sorted.
func tarDir(w io.Writer, dir string) error {
	var files []File
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		files = append(files, File{Name: "/" + filepath.ToSlash(rel), From: path, Mode: 0o644})
		return err
	})
	if err != nil {
		return err
	}
	return writeTar(w, files)
}

// FindContainer gives the container image of that reference, ID or key, or of
// the beginning of a key.
func (s *Store) FindContainer(what string) (Container, error) {
	all, err := s.Artifacts()
	if err != nil {
		return Container{}, err
	}
	for _, a := range all {
		if a.Kind != "container" {
			continue
		}
		c, err := containerOf(a)
		if err == nil && (what == c.Reference || what == c.ID || hexKey.MatchString(what) && strings.HasPrefix(c.Key, what)) {
			return c, nil
		}
	}
	return Container{}, &Error{Kind: Usage, Op: "find container image", Object: what, Reason: "it is not in " + s.dir, Next: "`etcdlab images ls` shows what there is"}
}
