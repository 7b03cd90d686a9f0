package dm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	controlDir  = "/dev/mapper"
	controlPath = controlDir + "/control"
	miscMajor   = 10
)

// Control is device mapper's control device.
type Control struct{ f *os.File }

// OpenControl opens it, and makes its node where nobody else does. A kernel
// without device mapper gives a *MissingError.
func OpenControl() (*Control, error) {
	f, err := os.OpenFile(controlPath, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		if err = makeControl(); err == nil {
			f, err = os.OpenFile(controlPath, os.O_RDWR, 0)
		}
	}
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		err = noMapper()
	}
	if err != nil {
		return nil, fmt.Errorf("open device mapper: %w", err)
	}
	return &Control{f}, nil
}

func noMapper() error {
	return &MissingError{"device mapper", "load the kernel module dm-mod, or use a kernel that has it"}
}

func (c *Control) Close() error { return c.f.Close() }

// call does one ioctl; where the answer does not fit it asks again with more room.
func (c *Control) call(cmd command, h head, data []byte) (head, []byte, error) {
	for room := 4 << 10; ; room *= 4 {
		b := h.encode(data, room)
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, c.f.Fd(), cmd.request(), uintptr(unsafe.Pointer(&b[0])))
		if errno != 0 {
			return head{}, nil, fmt.Errorf("device mapper: %v %s: %w", cmd, h.Name, errno)
		}
		answer, out, err := decode(b)
		if err != nil {
			return head{}, nil, fmt.Errorf("device mapper: %v %s: %w", cmd, h.Name, err)
		}
		if answer.Flags&flagBufferFull != 0 && room < 16<<20 {
			continue
		}
		return answer, out, nil
	}
}

// Targets are the kernel's, with their versions; those of modules that are not
// loaded are missing.
func (c *Control) Targets() (map[string]Version, error) {
	_, data, err := c.call(cmdListVersions, head{}, nil)
	if err != nil {
		return nil, err
	}
	return decodeVersions(data)
}

// Need fails with a *MissingError on the first target that the kernel lacks.
// The kernel loads a target's module itself when a table asks for it, where
// there is a modprobe; so what is looked at is whether a table can be loaded.
func (c *Control) Need(targets ...string) error {
	have, err := c.Targets()
	if err != nil {
		return err
	}
	for _, t := range targets {
		if _, ok := have[t]; !ok && unix.Access("/sbin/modprobe", unix.X_OK) != nil {
			return &MissingError{"device mapper's target " + t, "load the kernel module dm-" + t}
		}
	}
	return nil
}

// List gives the devices that exist.
func (c *Control) List() ([]Name, error) {
	_, data, err := c.call(cmdListDevices, head{}, nil)
	if err != nil {
		return nil, err
	}
	return decodeNames(data)
}

// Create makes a device without a table.
func (c *Control) Create(name string) (Number, error) {
	if err := checkName(name); err != nil {
		return Number{}, err
	}
	h, _, err := c.call(cmdDevCreate, head{Name: name}, nil)
	return number(h.Dev), err
}

// Info is a device's state.
type Info struct {
	Dev       Number
	Open      int32 // who has it open
	Suspended bool
	Active    bool // it has a table
	Event     uint32
}

// Info fails with ENXIO where there is no such device.
func (c *Control) Info(name string) (Info, error) {
	h, _, err := c.call(cmdDevStatus, head{Name: name}, nil)
	return Info{number(h.Dev), h.Open, h.Flags&flagSuspend != 0, h.Flags&flagActive != 0, h.Event}, err
}

// Load prepares a table, which the next Resume puts in place.
func (c *Control) Load(name string, t Table) error {
	if err := t.Check(); err != nil {
		return fmt.Errorf("load a table of %s: %w", name, err)
	}
	_, _, err := c.call(cmdTableLoad, head{Name: name, Targets: uint32(len(t))}, encodeTable(t))
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("%w: the kernel log says why; the table is\n%s", err, t)
	}
	return err
}

// Suspend lets operations in flight end and holds back later ones. The file
// system above is neither synced nor frozen.
func (c *Control) Suspend(name string) error {
	_, _, err := c.call(cmdDevSuspend, head{Name: name, Flags: flagSuspend | flagNoFlush | flagSkipLockFS}, nil)
	return err
}

// suspendLocked is what dmsetup does unless it is told: it syncs the file
// system first. Tests show that this makes a cut that loses nothing.
func (c *Control) suspendLocked(name string) error {
	_, _, err := c.call(cmdDevSuspend, head{Name: name, Flags: flagSuspend}, nil)
	return err
}

// Resume puts a table that was loaded in place and lets operations go on.
func (c *Control) Resume(name string) error {
	_, _, err := c.call(cmdDevSuspend, head{Name: name, Flags: flagNoFlush | flagSkipLockFS}, nil)
	return err
}

// Remove ends a device; one that is still in use is tried again until ctx ends,
// and is then left to the kernel, which removes it when its last user closes it.
func (c *Control) Remove(ctx context.Context, name string) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		_, _, err := c.call(cmdDevRemove, head{Name: name}, nil)
		switch {
		case err == nil, errors.Is(err, unix.ENXIO):
			return removeNode(name)
		case !errors.Is(err, unix.EBUSY):
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			_, _, deferred := c.call(cmdDevRemove, head{Name: name, Flags: flagDeferredRemove}, nil)
			return errors.Join(fmt.Errorf("remove %s: it is still in use: unmount what is mounted from it: %w", name, ctx.Err()), deferred)
		}
	}
}

// Lines gives a device's table: the parameters of each segment.
func (c *Control) Lines(name string) ([]Line, error) { return c.lines(name, flagStatusTable) }

// Status gives the status of each segment.
func (c *Control) Status(name string) ([]Line, error) { return c.lines(name, 0) }

func (c *Control) lines(name string, flags uint32) ([]Line, error) {
	// noflush: a status must not wait for what the device holds back.
	h, data, err := c.call(cmdTableStatus, head{Name: name, Flags: flags | flagNoFlush}, nil)
	if err != nil {
		return nil, err
	}
	return decodeLines(data, h.Targets)
}

// Message speaks to the target at a sector, or, beginning with @, to device
// mapper itself; it returns the answer, if there is one.
func (c *Control) Message(name string, sector uint64, message string) (string, error) {
	h, data, err := c.call(cmdTargetMsg, head{Name: name}, encodeMessage(sector, message))
	if err != nil {
		return "", fmt.Errorf("%q: %w", message, err)
	}
	if h.Flags&flagDataOut == 0 {
		return "", nil
	}
	return text(data), nil
}

// Sweep removes the devices whose names begin so: what a process that was
// killed left behind.
func Sweep(ctx context.Context, prefix string) error {
	c, err := OpenControl()
	if missing := (*MissingError)(nil); errors.As(err, &missing) {
		return nil
	}
	if err != nil {
		return err
	}
	defer c.Close()
	names, err := c.List()
	names = slices.DeleteFunc(names, func(n Name) bool { return !strings.HasPrefix(n.Name, prefix) })
	for _, n := range names {
		err = errors.Join(err, c.fail(n.Name), c.Remove(ctx, n.Name))
	}
	return err
}

// fail makes a device that is held fail everything: what waits there could not
// even be killed.
func (c *Control) fail(name string) error {
	info, err := c.Info(name)
	if err != nil || !info.Suspended {
		return err
	}
	lines, err := c.Lines(name)
	if err != nil {
		return err
	}
	if n := len(lines); n > 0 {
		size := lines[n-1].Start + lines[n-1].Length
		if err := c.Load(name, Table{{0, size, Error{}}}); err != nil {
			return err
		}
	}
	return c.Resume(name)
}
