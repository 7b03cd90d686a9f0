package guest_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcdlab/etcdlab"
	"github.com/etcdlab/etcdlab/images"
	"github.com/etcdlab/etcdlab/images/guest"
	"github.com/etcdlab/etcdlab/images/guest/guesttest"
	"github.com/etcdlab/etcdlab/images/imagetest"
)

// The same inputs give the same bytes, in another cache too.
func TestGuestIsTheSameAnywhere(t *testing.T) {
	img := guesttest.Build(t)
	etcd := imagetest.Etcd(t, "")
	s, err := images.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.AgentSource = etcdlab.Source
	// The kernel that the other cache holds, named: another way to the same.
	again, err := guest.Build(t.Context(), s, etcd, guest.Options{Kernel: packaged(t, img)})
	if err != nil {
		t.Fatal(err)
	}
	if again.Initrd == img.Initrd {
		t.Fatal("it was not built again")
	}
	for _, pair := range [][2]string{{img.Initrd, again.Initrd}, {img.Kernel, again.Kernel}} {
		one, err := os.ReadFile(pair[0])
		if err != nil {
			t.Fatal(err)
		}
		two, err := os.ReadFile(pair[1])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, two) {
			t.Errorf("%s and %s differ", pair[0], pair[1])
		}
	}
	checkContents(t, img)
}

// packaged finds where the guest's kernel came from: its modules are there.
func packaged(t *testing.T, img guest.Image) string {
	t.Helper()
	for _, file := range []string{img.Kernel, "/boot/vmlinuz-" + img.Release} {
		if filepath.Base(file) != "vmlinuz-"+img.Release {
			continue
		}
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	t.Skip("missing: the package of the guest's kernel")
	return ""
}

func checkContents(t *testing.T, img guest.Image) {
	t.Helper()
	data, err := os.ReadFile(img.Initrd)
	if err != nil {
		t.Fatal(err)
	}
	files, err := guest.ReadArchive(data)
	if err != nil {
		t.Fatal(err)
	}
	mode := map[string]fs.FileMode{}
	for _, f := range files {
		mode[f.Name] = f.Mode
	}
	for name, want := range map[string]fs.FileMode{
		"init": fs.ModeSymlink | 0o777, "usr/bin/etcdlab": 0o755, "usr/bin/etcd": 0o755, "usr/bin/etcdctl": 0o755, "usr/bin/etcdutl": 0o755,
		"dev/console": fs.ModeDevice | fs.ModeCharDevice | 0o600, "etc/etcdlab": fs.ModeDir | 0o755, "lib/modules/etcdlab.list": 0o644,
	} {
		if mode[name] != want {
			t.Errorf("%s is %v, want %v", name, mode[name], want)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	etcd := imagetest.Etcd(t, "")
	s, err := images.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, err = guest.Build(t.Context(), s, etcd, guest.Options{Kernel: "/nowhere/vmlinuz"})
	var e *images.Error
	if !errors.As(err, &e) || e.Kind != images.Usage {
		t.Errorf("got %v", err)
	}
}
