package agent

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// kernelMounts are the file systems that a machine needs to be one.
var kernelMounts = []struct {
	kind, at, options string
	flags             uintptr
}{
	{"proc", "/proc", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
	{"sysfs", "/sys", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
	{"devtmpfs", "/dev", "mode=0755", unix.MS_NOSUID},
	{"devpts", "/dev/pts", "mode=0620", unix.MS_NOSUID | unix.MS_NOEXEC},
	{"tmpfs", "/dev/shm", "mode=1777", unix.MS_NOSUID | unix.MS_NODEV},
	{"tmpfs", "/run", "mode=0755", unix.MS_NOSUID | unix.MS_NODEV},
	{"tmpfs", "/tmp", "mode=1777", unix.MS_NOSUID | unix.MS_NODEV},
	{"cgroup2", "/sys/fs/cgroup", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
}

func mountAll() error {
	for _, m := range kernelMounts {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, m.flags, m.options); err != nil && err != unix.EBUSY {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.at, err)
		}
	}
	return nil
}

// powerOff writes everything to its disks, takes them off, and ends the machine.
func powerOff() {
	unix.Sync()
	if err := unmountAll(); err != nil {
		say(oneLine(err))
	}
	say("off after " + uptime().Round(time.Millisecond).String())
	err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	say("turn the machine off: " + fmt.Sprint(err))
	os.Exit(1) // the first process ends: the kernel panics
}

// unmountAll takes off what is on a device, the last mounted first.
func unmountAll() (err error) {
	text, readErr := os.ReadFile("/proc/self/mounts")
	if readErr != nil {
		return readErr
	}
	points := onDevices(text)
	for _, at := range slices.Backward(points) {
		if e := unix.Unmount(at, 0); e != nil {
			// Still in use: read-only at least makes its journal clean.
			again := unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
			if again != nil {
				err = errors.Join(err, fmt.Errorf("unmount %s: %w", at, e))
			}
		}
	}
	return err
}

// onDevices gives the mount points of /proc/self/mounts whose source is a device.
func onDevices(mounts []byte) (points []string) {
	for line := range bytes.Lines(mounts) {
		f := strings.Fields(string(line))
		if len(f) > 1 && strings.HasPrefix(f[0], "/dev/") {
			points = append(points, unescape.Replace(f[1]))
		}
	}
	return points
}

// unescape undoes what the kernel does to names in its tables.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
