// Package guesttest gives tests the real guest of the machine's cache.
package guesttest

import (
	"errors"
	"os/exec"
	"testing"

	"github.com/etcdlab/etcdlab"
	"github.com/etcdlab/etcdlab/images"
	"github.com/etcdlab/etcdlab/images/guest"
	"github.com/etcdlab/etcdlab/images/imagetest"
)

// Build gives the guest of the default etcd for this machine's architecture. A
// test is skipped where there is no etcd or no kernel to be had.
func Build(t testing.TB) guest.Image {
	t.Helper()
	etcd := imagetest.Etcd(t, "")
	dir, err := images.DefaultDir()
	if err != nil {
		t.Skip("missing: a cache directory:", err)
	}
	s, err := images.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.AgentSource, s.Progress = etcdlab.Source, func(line string) { t.Log(line) }
	img, err := guest.Build(t.Context(), s, etcd, guest.Options{})
	var e *images.Error
	if errors.As(err, &e) && e.Kind == images.Environment {
		t.Skip("missing:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// QEMU gives the emulator for the guest's architecture, or skips the test.
func QEMU(t testing.TB, img guest.Image) string {
	t.Helper()
	name := "qemu-system-x86_64"
	if img.Arch == "arm64" {
		name = "qemu-system-aarch64"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("missing: " + name + "; hack/deps.sh vm installs it")
	}
	return path
}
