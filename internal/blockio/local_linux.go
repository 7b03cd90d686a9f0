package blockio

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// alignment suits direct I/O on every block device.
const alignment = 4096

// local is a block device of this machine, opened so that a write has reached
// the disk when it returns, and a read asks the disk.
type local struct{ *os.File }

// Open opens a block device past the page cache.
func Open(path string) (Device, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_DIRECT, 0)
	if err != nil {
		return nil, err
	}
	return local{f}, nil
}

// aligned returns a buffer as direct I/O wants it.
func aligned(n int) []byte {
	b := make([]byte, n+alignment)
	skip := alignment - int(uintptr(unsafe.Pointer(&b[0]))%alignment)
	return b[skip : skip+n : skip+n]
}

func (l local) ReadAt(p []byte, off int64) (int, error) {
	b := aligned(len(p))
	n, err := l.File.ReadAt(b, off)
	copy(p, b[:n])
	return n, err
}

func (l local) WriteAt(p []byte, off int64) (int, error) {
	b := aligned(len(p))
	copy(b, p)
	return l.File.WriteAt(b, off)
}

// WriteFUA has the kernel set FUA on the write, or flush after it where the disk
// does not offer it.
func (l local) WriteFUA(p []byte, off int64) (int, error) {
	b := aligned(len(p))
	copy(b, p)
	done := 0
	for done < len(b) {
		n, err := unix.Pwritev2(int(l.Fd()), [][]byte{b[done:]}, off+int64(done), unix.RWF_DSYNC)
		if err != nil {
			return done, &os.PathError{Op: "pwritev2", Path: l.Name(), Err: err}
		}
		done += n
	}
	return done, nil
}

func (l local) Discard(off, n int64) error { return l.ranged(unix.BLKDISCARD, off, n) }
func (l local) ZeroOut(off, n int64) error { return l.ranged(unix.BLKZEROOUT, off, n) }

func (l local) ranged(request uint, off, n int64) error {
	r := [2]uint64{uint64(off), uint64(n)}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, l.Fd(), uintptr(request), uintptr(unsafe.Pointer(&r)))
	if errno != 0 {
		return &os.PathError{Op: "ioctl", Path: l.Name(), Err: errno}
	}
	return nil
}

// cached is a block device through the page cache.
type cached struct{ local }

func (c cached) ReadAt(p []byte, off int64) (int, error)  { return c.File.ReadAt(p, off) }
func (c cached) WriteAt(p []byte, off int64) (int, error) { return c.File.WriteAt(p, off) }

// OpenCached opens a block device as most programs do: writes wait in the page
// cache for a Sync, and what is in it is not read again. What was in the cache
// before is dropped, as a mount of ours does.
func OpenCached(path string) (Device, error) {
	if err := DropCache(path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return cached{local{f}}, nil
}
