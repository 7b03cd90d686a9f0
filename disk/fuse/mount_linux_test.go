package fuse

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/disk"
)

func TestChildrenDoNotKeepTheConnection(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	must(t, disk.Create(disk.Options{Dir: dir, Size: 1 << 20}))
	e, err := disk.Open(disk.Options{Dir: dir})
	must(t, err)
	d, err := Attach(t.Context(), e, filepath.Join(dir, "fuse"))
	must(t, err)
	out, err := exec.Command("sh", "-c", "ls -l /proc/$$/fd").CombinedOutput()
	if err != nil || strings.Contains(string(out), "/dev/fuse") {
		t.Errorf("%v; a child has open:\n%s", err, out)
	}
	must(t, d.Detach(t.Context()))
	must(t, e.Close())
}
