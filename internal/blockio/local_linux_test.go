package blockio

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// loop is the path of a loop device of 1 MiB.
func loop(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("missing: root, to make a loop device")
	}
	file := filepath.Join(t.TempDir(), "disk")
	must(t, os.WriteFile(file, nil, 0o600))
	must(t, os.Truncate(file, 1<<20))
	out, err := exec.Command("losetup", "--find", "--show", file).Output()
	if err != nil {
		t.Skip("missing: a loop device: ", err)
	}
	path := strings.TrimSpace(string(out))
	t.Cleanup(func() { must(t, exec.Command("losetup", "--detach", path).Run()) })
	return path
}

// TestLocal uses a real block device, past the cache and through it, and through
// pipes.
func TestLocal(t *testing.T) {
	path := loop(t)
	d, err := Open(path)
	must(t, err)
	defer d.Close()
	want := bytes.Repeat([]byte{7}, 8192)
	_, err = d.WriteAt(want[:4096], 0)
	must(t, err)
	_, err = d.WriteFUA(want[4096:], 4096)
	must(t, err)
	must(t, d.Sync())
	c, err := OpenCached(path)
	must(t, err)
	defer c.Close()
	for name, from := range map[string]Device{"direct": d, "cached": c} {
		got := make([]byte, len(want))
		_, err := from.ReadAt(got, 0)
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: what was written is not read", name)
		}
	}
	must(t, d.Discard(0, 4096))
	must(t, d.ZeroOut(4096, 4096))
	got := make([]byte, len(want))
	_, err = d.ReadAt(got, 0)
	must(t, err)
	if !bytes.Equal(got, make([]byte, len(want))) {
		t.Error("what was zeroed is not zero")
	}
}
