package conformance_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/internal/blockio"
	"github.com/etcdlab/etcdlab/internal/kmod"
)

// The binary is also the init of the guests of NBD's tests.
func TestMain(m *testing.M) {
	if os.Getpid() == 1 {
		fmt.Println("the guest ends:", guestMain())
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
	goleak.VerifyTestMain(m)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestPowerLossOfGuest and TestGuestConformance boot this binary as the init of a machine, whose disk it
// serves to the tests on two ports: past the page cache, and through it.
var ports = []string{"direct", "cached"}

const guestDisk = "/dev/vda"

// reopening opens the disk for every operation, so that a kernel's cache of it
// ends with each, as when nobody has it open.
type reopening struct {
	blockio.Device
	open func(string) (blockio.Device, error)
}

func (r reopening) with(f func(blockio.Device) error) error {
	d, err := r.open(guestDisk)
	if err != nil {
		return err
	}
	defer d.Close()
	return f(d)
}

func (r reopening) ReadAt(p []byte, off int64) (n int, err error) {
	err = r.with(func(d blockio.Device) error { n, err = d.ReadAt(p, off); return err })
	return n, err
}

func (r reopening) WriteAt(p []byte, off int64) (n int, err error) {
	err = r.with(func(d blockio.Device) error { n, err = d.WriteAt(p, off); return err })
	return n, err
}

func (r reopening) WriteFUA(p []byte, off int64) (n int, err error) {
	err = r.with(func(d blockio.Device) error { n, err = d.WriteFUA(p, off); return err })
	return n, err
}

func (r reopening) Sync() error { return r.with(blockio.Device.Sync) }

func (r reopening) Discard(off, n int64) error {
	return r.with(func(d blockio.Device) error { return d.Discard(off, n) })
}

func (r reopening) ZeroOut(off, n int64) error {
	return r.with(func(d blockio.Device) error { return d.ZeroOut(off, n) })
}

// guestMain is what runs in the machine, as its first process.
func guestMain() error {
	for _, m := range [][2]string{{"/proc", "proc"}, {"/sys", "sysfs"}, {"/dev", "devtmpfs"}} {
		if err := os.MkdirAll(m[0], 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m[1], m[0], m[1], 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m[0], err)
		}
	}
	for _, module := range []string{"virtio_pci", "virtio_blk", "virtio_console"} {
		if err := kmod.Load(module); err != nil {
			return err
		}
	}
	failed := make(chan error)
	for i, open := range []func(string) (blockio.Device, error){blockio.Open, nil} {
		go func() {
			port, err := openPort(ports[i])
			if err == nil && open == nil {
				// The last close writes what is cached, so that this one
				// stays open and its cache full.
				var d blockio.Device
				if d, err = blockio.OpenCached(guestDisk); err == nil {
					err = blockio.Serve(d, port, port)
				}
			} else if err == nil {
				err = blockio.Serve(reopening{open: open}, port, port)
			}
			failed <- fmt.Errorf("%s ended: %w", ports[i], err)
		}()
	}
	return <-failed
}

// openPort waits for a port of that name and for the disk.
func openPort(name string) (*os.File, error) {
	for range 6000 { // a minute: the machine may be slow
		found, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, path := range found {
			text, _ := os.ReadFile(path)
			if _, err := os.Stat(guestDisk); err != nil || strings.TrimSpace(string(text)) != name {
				continue
			}
			fd, err := unix.Open("/dev/"+filepath.Base(filepath.Dir(path)), unix.O_RDWR|unix.O_CLOEXEC, 0)
			return os.NewFile(uintptr(fd), name), err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, fmt.Errorf("there is no port %s or no disk", name)
}
