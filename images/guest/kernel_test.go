package guest

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/images"
)

// bzImageOf is the head of a bzImage that says its release.
func bzImageOf(release string) []byte {
	b := make([]byte, 0x1000)
	copy(b[setupMagicAt:], "HdrS")
	b[setupVersionAt], b[setupVersionAt+1] = 0x00, 0x04 // at 0x400 after the first sector
	copy(b[0x600:], release+" (somebody@somewhere) #1 SMP\x00")
	return b
}

func arm64ImageOf(release string) []byte {
	b := make([]byte, 0x100)
	copy(b, "MZ")
	copy(b[imageMagicAt:], "ARM\x64")
	return append(b, "Linux version %s (%s)\x00.....Linux version "+release+" (somebody) #1\x00"...)
}

func TestRelease(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"bzImage", "6.1.0-56-cloud-amd64", bzImageOf("6.1.0-56-cloud-amd64")},
		{"Image", "6.12.9+deb13-arm64", arm64ImageOf("6.12.9+deb13-arm64")},
		{"vmlinuz-6.1.0-9-arm64", "6.1.0-9-arm64", []byte("MZ: compressed, so it does not say")},
		{"unnamed", "does not say its release", []byte("MZ: compressed, so it does not say")},
		{"vmlinuz-6.1.0", "is no kernel", []byte("#!/bin/sh\n")},
	} {
		file := filepath.Join(dir, c.name)
		if err := os.WriteFile(file, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := releaseOf(file)
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestNamedKernel(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "boot", "bzImage")
	put := func(name string, data []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(want string) {
		t.Helper()
		_, err := namedKernel(file)
		var e *images.Error
		if !errors.As(err, &e) || e.Kind != images.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	refused("no such file")
	put(file, []byte("text"))
	refused("is no kernel; name a bzImage")
	put(file, bzImageOf("9.9.9-mine"))
	refused("no modules of 9.9.9-mine in " + filepath.Join(root, "boot", "lib", "modules", "9.9.9-mine"))
	put(filepath.Join(root, "lib", "modules", "9.9.9-mine", "modules.builtin"), nil)
	k, err := namedKernel(file)
	if err != nil || k.release != "9.9.9-mine" || k.modules != filepath.Join(root, "lib", "modules", "9.9.9-mine") {
		t.Errorf("%+v, %v", k, err)
	}

	if runtime.GOOS != "linux" {
		return
	}
	boot, modules := filepath.Join(root, "boot"), filepath.Join(root, "lib", "modules")
	if _, err := hostKernel(runtime.GOARCH, boot, modules); err == nil || !strings.Contains(err.Error(), "no vmlinuz in") {
		t.Errorf("got %v", err)
	}
	put(filepath.Join(boot, "vmlinuz-9.9.10-mine"), bzImageOf("9.9.10-mine"))
	if _, err := hostKernel(runtime.GOARCH, boot, modules); err == nil || !strings.Contains(err.Error(), "has no modules in") {
		t.Errorf("got %v", err)
	}
	put(filepath.Join(boot, "vmlinuz-9.9.9-mine"), bzImageOf("9.9.9-mine"))
	if k, err := hostKernel(runtime.GOARCH, boot, modules); err != nil || k.release != "9.9.9-mine" {
		t.Errorf("%+v, %v", k, err)
	}
}

func TestNewestFirst(t *testing.T) {
	files := []string{"vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-56-amd64", "vmlinuz-6.12.1-1-amd64", "vmlinuz", "vmlinuz-5.10.0-30-amd64"}
	slices.SortFunc(files, newest)
	if got := strings.Join(files, " "); got != "vmlinuz-6.12.1-1-amd64 vmlinuz-6.1.0-56-amd64 vmlinuz-6.1.0-9-amd64 vmlinuz-5.10.0-30-amd64 vmlinuz" {
		t.Error(got)
	}
}
