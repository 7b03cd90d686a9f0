package cgroup

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func init() {
	if len(os.Args) != 3 || os.Args[1] != "usable" {
		return
	}
	// As an engine mounts it in a container.
	h, err := Choose(Version(os.Args[2]))
	if err == nil {
		err = unix.Mount("", h.Mount, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	}
	if err == nil {
		if _, failed := h.Create(fmt.Sprintf("etcdlab-ro-%d", os.Getpid())); failed == nil {
			err = fmt.Errorf("%s takes groups although it is read-only", h.Mount)
		}
	}
	if err == nil {
		h, err = Usable(h.Version)
	}
	if err == nil {
		var fs unix.Statfs_t
		err = unix.Statfs(h.Mount, &fs)
		if fs.Flags&(unix.ST_NOSUID|unix.ST_NODEV|unix.ST_NOEXEC) != unix.ST_NOSUID|unix.ST_NODEV|unix.ST_NOEXEC {
			err = fmt.Errorf("%s has lost flags: %x", h.Mount, fs.Flags)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func TestUsableWhereReadOnly(t *testing.T) {
	each(t, func(t *testing.T, h Hierarchy) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, "usable", string(h.Version))
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, strings.TrimSpace(string(out)))
		}
		if strings.Contains(mountsOf(t, h.Mount), "ro,") {
			t.Error("the machine's own mount has changed")
		}
	})
}

func mountsOf(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 5 && f[4] == dir {
			return f[5]
		}
	}
	return ""
}
