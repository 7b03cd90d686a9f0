package images

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// files reads an image's file system, as the engine would see it.
func imageFiles(t *testing.T, image v1.Image) map[string]*tar.Header {
	t.Helper()
	layers, err := image.Layers()
	must(t, err)
	all := map[string]*tar.Header{}
	for _, l := range layers {
		r, err := l.Uncompressed()
		must(t, err)
		for in := tar.NewReader(r); ; {
			h, err := in.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			must(t, err)
			if h.Uid != 0 || h.Gid != 0 || !h.ModTime.Equal(epoch) {
				t.Errorf("%s: %d:%d, %v", h.Name, h.Uid, h.Gid, h.ModTime)
			}
			all["/"+h.Name] = h
		}
		must(t, r.Close())
	}
	return all
}

func TestExport(t *testing.T) {
	needLinux(t)
	s := agentStore(t, littleMain)
	c, err := s.Container(bg, fakeEtcd(t, runtime.GOARCH))
	must(t, err)
	for _, what := range []string{c.Reference, c.ID, c.Key, c.Key[:8]} {
		if found, err := s.FindContainer(what); err != nil || found.Archive != c.Archive {
			t.Errorf("FindContainer(%s): %+v, %v", what, found, err)
		}
	}
	dir := t.TempDir()
	docker, oci := filepath.Join(dir, "docker.tar"), filepath.Join(dir, "oci.tar")
	must(t, s.ExportContainer(bg, c, "docker", docker, nil))
	must(t, s.ExportContainer(bg, c, "oci", oci, nil))
	var again bytes.Buffer
	must(t, s.ExportContainer(bg, c, "oci", "-", &again))
	b, err := os.ReadFile(oci)
	must(t, err)
	if sha256.Sum256(b) != sha256.Sum256(again.Bytes()) {
		t.Error("two exports differ")
	}

	image, err := tarball.ImageFromPath(docker, nil)
	must(t, err)
	must(t, validate.Image(image))
	files := imageFiles(t, image)
	for name, mode := range map[string]int64{"/usr/bin/etcd": 0o755, "/usr/bin/etcdctl": 0o755, "/usr/bin/etcdutl": 0o755,
		"/usr/bin/etcdlab": 0o755, "/tmp/": 0o1777, memberDir + "/": 0o700} {
		if h := files[name]; h == nil || h.Mode != mode {
			t.Errorf("%s is %+v", name, h)
		}
	}
	config, err := image.ConfigFile()
	must(t, err)
	if got := strings.Join(config.Config.Entrypoint, " "); got != "/usr/bin/etcdlab agent --dir /run/etcdlab/member" {
		t.Errorf("the entrypoint is %s", got)
	}

	// The OCI layout has the same configuration, and so the same ID.
	unpacked := filepath.Join(dir, "layout")
	untar(t, oci, unpacked)
	index, err := layout.ImageIndexFromPath(unpacked)
	must(t, err)
	must(t, validate.Index(index))
	m, err := index.IndexManifest()
	must(t, err)
	if len(m.Manifests) != 1 || m.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != c.Reference {
		t.Fatalf("the layout has %+v", m.Manifests)
	}
	other, err := index.Image(m.Manifests[0].Digest)
	must(t, err)
	id, err := other.ConfigName()
	must(t, err)
	kind, err := other.MediaType()
	must(t, err)
	if id.String() != c.ID || kind != types.OCIManifestSchema1 {
		t.Errorf("the layout's image is %s, %s, want %s", id, kind, c.ID)
	}
	if l := left(t, dir); len(l) != 3 || len(left(t, s.tmp())) != 0 {
		t.Errorf("left: %v, %v", l, left(t, s.tmp()))
	}
}

func untar(t *testing.T, archive, to string) {
	t.Helper()
	f, err := os.Open(archive)
	must(t, err)
	defer f.Close()
	for in := tar.NewReader(f); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		must(t, err)
		at := filepath.Join(to, h.Name)
		if h.Typeflag == tar.TypeDir {
			must(t, os.MkdirAll(at, 0o755))
			continue
		}
		b, err := io.ReadAll(in)
		must(t, err)
		must(t, os.WriteFile(at, b, 0o644))
	}
}

func TestExportErrors(t *testing.T) {
	s, err := Open(t.TempDir())
	must(t, err)
	archive := filepath.Join(t.TempDir(), "image.tar")
	must(t, os.WriteFile(archive, []byte("not a tar"), 0o644))
	c := Container{Reference: "etcdlab/member:1", Archive: archive, Key: "k"}
	if err := CheckExport("oci", t.TempDir()); kindOf(err) != Usage {
		t.Errorf("a directory: %v", err)
	}
	if err := CheckExport("docker", "-"); err != nil {
		t.Errorf("stdout: %v", err)
	}
	for name, format := range map[string]string{"no such format": "zip", "no such directory": "docker"} {
		if err := s.ExportContainer(bg, c, format, filepath.Join(t.TempDir(), "no", "such", "file"), nil); kindOf(err) != Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	if err := s.ExportContainer(bg, c, "oci", filepath.Join(dir, "x.tar"), nil); err == nil {
		t.Error("exported what is no image")
	}
	if l := append(left(t, dir), left(t, s.tmp())...); len(l) != 0 {
		t.Errorf("left: %v", l)
	}
	if _, err := s.FindContainer("etcdlab/member:1"); kindOf(err) != Usage {
		t.Errorf("found what is not there: %v", err)
	}
}
