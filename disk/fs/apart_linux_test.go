package fs

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestApart: what runs apart sees nothing that is mounted from a loop device,
// whatever its name, and everybody else still does.
func TestApart(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("missing: root, to mount")
	}
	if err := Check("ext4"); err != nil {
		t.Skip(err)
	}
	image, dir := filepath.Join(t.TempDir(), "image"), filepath.Join(t.TempDir(), "a blank and a \\")
	for _, err := range []error{os.Mkdir(dir, 0o755), os.WriteFile(image, nil, 0o600), os.Truncate(image, 64<<20)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := Format(ctx, "ext4", image, 512); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		t.Skipf("missing: a loop device: %s", out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%s", out)
		}
	})
	out, err := apart(ctx, "btrfs", "cat", []string{"/proc/self/mounts"}).CombinedOutput()
	if err != nil || !strings.Contains(string(out), " / ") || strings.Contains(string(out), "/dev/loop") {
		t.Errorf("%v: it sees\n%s", err, out)
	}
	all, err := os.ReadFile("/proc/self/mounts")
	if err != nil || !strings.Contains(string(all), filepath.Base(filepath.Dir(dir))+`/a\040blank\040and\040a\040\134`) {
		t.Errorf("%v: everybody sees\n%s", err, all)
	}
}
