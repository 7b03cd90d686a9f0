package guesttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/etcdlab/etcdlab/images"
	"github.com/etcdlab/etcdlab/images/guest"
)

// Bare gives a kernel and an initramfs with its modules, whose init is the tests
// of a package: their TestMain runs as process 1. A test is skipped where there
// is no kernel to be had, or no QEMU.
func Bare(t testing.TB, pkg string, more ...guest.Entry) (kernel, initrd string) {
	t.Helper()
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("missing: qemu-system-x86_64; hack/deps.sh vm installs it")
	}
	dir, err := images.DefaultDir()
	if err != nil {
		t.Skip("missing: a cache directory:", err)
	}
	s, err := images.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	kernel, files, err := guest.Bare(t.Context(), s, "amd64", guest.Options{Kernel: os.Getenv("ETCDLAB_TEST_KERNEL")})
	if err != nil {
		t.Skip("missing: a kernel for guests:", err)
	}
	initrd = filepath.Join(t.TempDir(), "initrd")
	f, err := os.Create(initrd)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := guest.WriteArchive(f, append(append(files, more...), guest.Entry{Name: "init", Mode: 0o755, Path: binary(t, pkg)})); err != nil {
		t.Fatal(err)
	}
	return kernel, initrd
}

// binary builds the tests of a package, without libraries.
func binary(t testing.TB, pkg string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "init")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the tests of %s: %v: %s", pkg, err, out)
	}
	return path
}
