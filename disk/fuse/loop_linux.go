package fuse

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// undoTime bounds what undoes a failed step, whatever became of its context.
const undoTime = 10 * time.Second

// directIO would let the loop device submit its requests to FUSE without
// waiting for each. BenchmarkFdatasync, which runs both, sees no difference.
const directIO = false

const loopMajor = 7

type loopDevice struct {
	number int
	file   string   // that it was attached to
	held   *os.File // unless nil, keeps it until detach or the end of this process
}

func (l *loopDevice) path() string { return fmt.Sprintf("/dev/loop%d", l.number) }

// attachLoop gives file a free loop device of the given block size in bytes.
func attachLoop(ctx context.Context, file string, blockSize int64, direct bool) (*loopDevice, error) {
	// Not os.OpenFile: it offers the file to the runtime's poller, the kernel
	// asks our own FUSE server whether it can be polled, and the runtime makes
	// that system call without giving its processor away.
	backing, err := unix.Open(file, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", file, err)
	}
	defer unix.Close(backing)
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: load the kernel module loop, or give the container /dev/loop-control", err)
	}
	defer control.Close()
	config := unix.LoopConfig{Fd: uint32(backing), Size: uint32(blockSize)}
	if direct {
		config.Info.Flags |= unix.LO_FLAGS_DIRECT_IO
	}
	copy(config.Info.File_name[:nameBytes], deviceName(file))
	var loop *loopDevice
	err = retry(ctx, func() (bool, error) {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return true, fmt.Errorf("find a free loop device: %w", err)
		}
		l := &loopDevice{number: n, file: file}
		if err := l.makeNode(); err != nil {
			return true, err
		}
		f, err := os.OpenFile(l.path(), os.O_RDWR, 0)
		if err != nil {
			// Another process that attaches at this moment may be removing
			// or configuring the same device.
			return !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENXIO), err
		}
		defer f.Close()
		if err := unix.IoctlLoopConfigure(int(f.Fd()), &config); err != nil {
			return !errors.Is(err, unix.EBUSY), fmt.Errorf("configure %s: %w", l.path(), err)
		}
		loop = l
		return true, nil
	})
	return loop, err
}

// makeNode makes the device's node where nobody else does: a container's /dev
// has only the nodes it was started with.
func (l *loopDevice) makeNode() error {
	if _, err := os.Stat(l.path()); err == nil {
		return nil
	}
	err := unix.Mknod(l.path(), unix.S_IFBLK|0o600, int(unix.Mkdev(loopMajor, uint32(l.number))))
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("make %s: %w: the container needs MKNOD and the device rule b 7:* rmw", l.path(), err)
	}
	return nil
}

// detach ends the device and waits until it has let go of its file: the kernel
// does so only when the last one who has it open closes it.
func (l *loopDevice) detach(ctx context.Context) error {
	l.release()
	if !l.ours() {
		return nil
	}
	err := within(ctx, func() error {
		f, err := os.OpenFile(l.path(), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		// Now that it is open it cannot become another's any more. It may have:
		// a bound one ends by itself.
		if !l.ours() {
			return nil
		}
		_, err = unix.IoctlRetInt(int(f.Fd()), unix.LOOP_CLR_FD)
		return err
	})
	if errors.Is(err, unix.ENXIO) {
		return nil
	}
	if err != nil {
		return err
	}
	return retry(ctx, func() (bool, error) {
		if !l.ours() {
			return true, nil
		}
		return false, errors.New("it is still in use: unmount what is mounted from it")
	})
}

// bind has the kernel end the device with the last one who has it open, and
// keeps it open here, as it has to outlive the unmount before a restore.
func (l *loopDevice) bind() error {
	f, err := os.OpenFile(l.path(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
	if err == nil {
		info.Flags |= unix.LO_FLAGS_AUTOCLEAR
		err = unix.IoctlLoopSetStatus64(int(f.Fd()), info)
	}
	if err != nil {
		f.Close()
		return err
	}
	l.held = f
	return nil
}

// release ends what bind holds.
func (l *loopDevice) release() {
	if l.held != nil {
		_ = l.held.Close() // nothing was written to it
		l.held = nil
	}
}

// ours says whether the device is still attached to our file: once free, it may
// be another process's at once.
func (l *loopDevice) ours() bool {
	b := l.backing()
	// Once FUSE is unmounted lazily below the device, the kernel shows the
	// path from the root of what was mounted there. Its own name stays.
	return b != "" && (b == l.file || b == "/"+FileName && l.name() == deviceName(l.file))
}

// backing is the file that the device is attached to, "" if to none. A file
// that was removed ends in " (deleted)", which is taken off.
func (l *loopDevice) backing() string {
	b, err := os.ReadFile(fmt.Sprintf("/sys/block/loop%d/loop/backing_file", l.number))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), " (deleted)")
}

// nameBytes is the room for a loop device's own name, which ends in a zero.
const nameBytes = 63

// deviceName is what the device remembers of its file: the path, or something
// made from it if it is too long.
func deviceName(file string) string {
	if len(file) <= nameBytes {
		return file
	}
	return fmt.Sprintf("etcdlab %x", sha256.Sum256([]byte(file)))[:nameBytes]
}

// name is what the device remembers of its file, "" if it has none.
func (l *loopDevice) name() string {
	if l.makeNode() != nil {
		return ""
	}
	f, err := os.Open(l.path())
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
	if err != nil {
		return ""
	}
	return unix.ByteSliceToString(info.File_name[:])
}

// retry calls step until it says that it is done or ctx ends; then the error
// is the last one.
func retry(ctx context.Context, step func() (done bool, err error)) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		done, err := step()
		if done {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
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
