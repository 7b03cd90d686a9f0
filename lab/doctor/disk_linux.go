package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func fuse(context.Context) (string, error) {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	const major, minor = 10, 229 // Documentation/admin-guide/devices.txt
	if sys, ok := st.Sys().(*syscall.Stat_t); !ok || st.Mode()&os.ModeCharDevice == 0 || sys.Rdev != unix.Mkdev(major, minor) {
		return "/dev/fuse that is not the FUSE device", errLacking
	}
	return "/dev/fuse", nil
}

// loop asks for a free device and opens it. In a container its node may be
// missing; then one is made for the moment, which needs MKNOD and the device
// rule.
func loop(context.Context) (string, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer control.Close()
	n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return "", fmt.Errorf("no free device: %w", err)
	}
	device := fmt.Sprintf("/dev/loop%d", n)
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		node := fmt.Sprintf("/dev/.etcdlab-doctor-%d", os.Getpid())
		if err := unix.Mknod(node, unix.S_IFBLK|0o600, int(unix.Mkdev(7, uint32(n)))); err != nil {
			return "", fmt.Errorf("make the node of %s: %w", device, err)
		}
		defer os.Remove(node)
		f, err = os.OpenFile(node, os.O_RDWR, 0)
		device += " (node made)"
	}
	if err != nil {
		return "", err
	}
	return device, f.Close()
}

// fileSystem looks for mkfs and for the kernel's part, which may be a module
// that the first mount loads.
func fileSystem(name string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		mkfs, err := exec.LookPath("mkfs." + name)
		if err != nil {
			return "no mkfs." + name, errLacking
		}
		known, err := os.ReadFile("/proc/filesystems")
		if err != nil {
			return "", err
		}
		if knows(string(known), name) {
			return mkfs + ", in the kernel", nil
		}
		if hasModule(name) {
			return mkfs + ", a module of the kernel", nil
		}
		return mkfs + ", but not in the kernel", errLacking
	}
}

// knows reads /proc/filesystems: lines of an optional "nodev" and a name.
func knows(list, name string) bool {
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) > 0 && f[len(f)-1] == name {
			return true
		}
	}
	return false
}

func hasModule(name string) bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	index, err := os.ReadFile("/lib/modules/" + unix.ByteSliceToString(u.Release[:]) + "/modules.dep")
	return err == nil && strings.Contains(string(index), "/"+name+".ko")
}

// deviceMapper asks for the interface's version: struct dm_ioctl of
// linux/dm-ioctl.h, 312 bytes, whose first three words are a version and whose
// fourth is its own size.
func deviceMapper(context.Context) (string, error) {
	f, err := os.OpenFile("/dev/mapper/control", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	const (
		size       = 312
		dmVersion  = 0xC138FD00 // _IOWR(0xfd, 0, struct dm_ioctl)
		interfaceV = 4
	)
	request := [size / 4]uint32{0: interfaceV, 3: size}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), dmVersion, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return "", fmt.Errorf("ask /dev/mapper/control for its version: %w", errno)
	}
	return fmt.Sprintf("version %d.%d.%d", request[0], request[1], request[2]), nil
}
