package fs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/internal/blockio"
)

// checkKernel fails if the kernel does not know the file system, after asking
// it to load the module.
func checkKernel(name string) error {
	known := func() bool {
		f, err := os.Open("/proc/filesystems")
		if err != nil {
			return false
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if fields := strings.Fields(s.Text()); len(fields) == 1 && fields[0] == name {
				return true
			}
		}
		return false
	}
	if known() {
		return nil
	}
	if modprobe, err := LookPath("modprobe"); err == nil {
		_ = exec.Command(modprobe, "-q", name).Run()
	}
	if known() {
		return nil
	}
	return fmt.Errorf("mount a file system %s: this kernel has none: load its module or use another of %s", name, strings.Join(Kinds(), ", "))
}

// Mount mounts the file system of the kind on the block device at dir, which
// is made if missing. Recovery of its journal is part of it. The error has
// what the kernel logged about it.
func Mount(ctx context.Context, device, dir, name string) error {
	k, err := find(name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("mount %s: %w", device, err)
	}
	if err := vacated(ctx, device); err != nil {
		return fmt.Errorf("mount %s: %w", device, err)
	}
	messages := openKernelLog()
	defer messages.close()
	// Access times would put writes into the log that nobody made.
	err = within(ctx, func() error { return unix.Mount(device, dir, name, unix.MS_NOATIME, k.options) })
	if err == nil {
		return nil
	}
	reason := messages.about(filepath.Base(device))
	if reason != "" {
		reason = ": the kernel says: " + reason
	}
	return fmt.Errorf("mount %s as %s on %s: %w%s", device, name, dir, err, reason)
}

// Unmount unmounts what is mounted at dir, waits until the file system has ended,
// and drops what the kernel has cached of its device, as the disk may hold
// something else after a cut. While it is busy it tries again until ctx ends; then
// it detaches it lazily, and the error is a *LazyError. Nothing mounted is success.
func Unmount(ctx context.Context, dir string) error {
	device := deviceOf(dir)
	var err error
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err = within(ctx, func() error { return unix.Unmount(dir, 0) })
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err == nil {
			if device == "" {
				return nil
			}
			if err := vacated(ctx, device); err != nil && !errors.Is(err, unix.ENXIO) { // it has ended, too
				return fmt.Errorf("unmount %s: %w", dir, err)
			}
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || ctx.Err() != nil {
			break
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	lazy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := within(lazy, func() error { return unix.Unmount(dir, unix.MNT_DETACH) }); err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return &LazyError{dir, err}
}

// deviceOf is the block device that is mounted at dir, "" if none is.
func deviceOf(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	device := ""
	for line := range strings.Lines(string(b)) {
		left, right, _ := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if len(l) > 4 && len(r) > 1 && l[4] == strings.ReplaceAll(abs, " ", `\040`) && strings.HasPrefix(r[1], "/dev/") {
			device = r[1] // the last one is on top
		}
	}
	return device
}

// vacated waits until a block device has no file system and nothing in the
// kernel's cache: one that still lives would be mounted as it is in memory, and
// what was cached while the disk was cut is not what it holds.
func vacated(ctx context.Context, device string) error {
	if err := released(ctx, device); err != nil {
		return err
	}
	return within(ctx, func() error { return blockio.DropCache(device) })
}

// releasedWithin bounds the wait for a file system to end that others have, too.
const releasedWithin = 30 * time.Second

// released waits until no file system lives on a block device. umount(2) ends one
// only when no other mount namespace has it: whatever is just being started in
// one of its own (a container, a service, mkfs.btrfs as this package runs it)
// has a copy of every mount for a moment. Until then the file system goes on
// writing, and a mount of the device shows it as it was. A file system claims
// its device, so that it cannot be opened with O_EXCL (open(2)).
func released(ctx context.Context, device string) error {
	ctx, cancel := context.WithTimeout(ctx, releasedWithin)
	defer cancel()
	for wait := 100 * time.Microsecond; ; wait = min(2*wait, 20*time.Millisecond) {
		err := within(ctx, func() error {
			fd, err := unix.Open(device, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
			if err == nil {
				err = unix.Close(fd)
			}
			return err
		})
		if !errors.Is(err, unix.EBUSY) {
			if err != nil {
				err = fmt.Errorf("open %s: %w", device, err)
			}
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("%s is still in use by a file system: another mount namespace (a container, a service) has it mounted, or something else claims it: %w", device, ctx.Err())
		}
	}
}

// within runs a step that may block in the kernel, and gives up waiting for it
// when ctx ends. The step itself cannot be stopped.
func within(ctx context.Context, step func() error) error {
	done := make(chan error, 1)
	go func() { done <- step() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("it blocks in the kernel: %w", ctx.Err())
	}
}

// kernelLog reads what the kernel logs from when it was opened. Why a mount
// failed is often only there.
type kernelLog struct{ fd int }

func openKernelLog() kernelLog {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return kernelLog{-1} // not allowed in many containers
	}
	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		_ = unix.Close(fd)
		return kernelLog{-1}
	}
	return kernelLog{fd}
}

// about returns the texts of the messages that name the device.
func (k kernelLog) about(device string) string {
	if k.fd < 0 {
		return ""
	}
	var texts []string
	buf := make([]byte, 8192) // the kernel gives one whole record a read
	for {
		n, err := unix.Read(k.fd, buf)
		if errors.Is(err, unix.EPIPE) {
			continue // records were overwritten meanwhile
		}
		if err != nil || n <= 0 {
			return strings.Join(texts, "; ")
		}
		_, text, ok := strings.Cut(string(buf[:n]), ";")
		text, _, _ = strings.Cut(text, "\n")
		if ok && strings.Contains(text, device) {
			texts = append(texts, text)
		}
	}
}

func (k kernelLog) close() {
	if k.fd >= 0 {
		_ = unix.Close(k.fd)
	}
}
