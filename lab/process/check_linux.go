package process

import (
	"context"
	"errors"
	"os"
	"syscall"

	"github.com/etcdlab/etcdlab/disk/fs"
	"github.com/etcdlab/etcdlab/internal/cgroup"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Check says what this machine lacks for labs of processes, as an
// *lab.EnvironmentError.
func Check(_ context.Context, s *spec.Lab) error {
	if os.Geteuid() != 0 {
		return &lab.EnvironmentError{
			Check: "root", Found: "an ordinary user", Needed: "root, for namespaces, control groups and mounts",
			Get: "run it with sudo, or use the docker provider",
		}
	}
	if _, err := cgroup.Choose(""); err != nil {
		return &lab.EnvironmentError{Check: "freezer", Found: "none", Needed: "cgroup v2 or the v1 freezer", Get: err.Error()}
	}
	switch s.Disk.Kind {
	case "plain":
		return nil
	case "dm":
		return &lab.EnvironmentError{
			Check: "disk kind dm", Found: "provider process", Needed: "a provider with device mapper disks",
			Get: "use disk: {kind: fault}, which can do more here",
		}
	}
	for _, dev := range []struct{ path, get string }{
		{"/dev/fuse", "modprobe fuse; in a container: --device /dev/fuse"},
		{"/dev/loop-control", "modprobe loop; in a container: --device /dev/loop-control and --device-cgroup-rule 'b 7:* rmw'"},
	} {
		f, err := os.OpenFile(dev.path, os.O_RDWR, 0)
		if err != nil {
			found := "nothing"
			if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENXIO) {
				found = err.Error()
			}
			return &lab.EnvironmentError{Check: dev.path, Found: found, Needed: "access to it, for the fault disk", Get: dev.get}
		}
		f.Close()
	}
	if err := fs.Check(s.Disk.FS); err != nil {
		return &lab.EnvironmentError{Check: "file system " + s.Disk.FS, Found: "not usable", Needed: "its mkfs and the kernel's support", Get: err.Error()}
	}
	return nil
}
