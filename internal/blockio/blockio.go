// Package blockio owns how a disk is used from outside of the kernel that has
// it: a block device's operations, each having reached the disk when it returns,
// on a device of this machine or through a pair of pipes on one of another.
package blockio

import (
	"errors"
	"io"
	"syscall"
)

// Device is a disk to be used by whole blocks. Its methods may be called from
// any number of goroutines, and what fails says so with the error of the system
// that has the device, as in errors.Is(err, syscall.EIO).
type Device interface {
	io.ReaderAt
	io.WriterAt
	// WriteFUA writes what is durable when it returns.
	WriteFUA(p []byte, off int64) (int, error)
	// Sync has the disk make durable what was written before.
	Sync() error
	// Discard makes n bytes at off of no interest, ZeroOut zero.
	Discard(off, n int64) error
	ZeroOut(off, n int64) error
	io.Closer
}

// MaxBytes bounds one read or write through pipes, in bytes.
const MaxBytes = 16 << 20

// number is an error's number on the wire: Linux's, which both ends agree on
// whatever they run on; what has none is an I/O error.
func number(err error) uint32 {
	if err == nil {
		return 0
	}
	for n, e := range numbers {
		if errors.Is(err, e) {
			return n
		}
	}
	return 5
}

func numbered(n uint32) error {
	if n == 0 {
		return nil
	}
	if e, ok := numbers[n]; ok {
		return e
	}
	return syscall.EIO
}

var numbers = map[uint32]syscall.Errno{
	1: syscall.EPERM, 2: syscall.ENOENT, 5: syscall.EIO, 12: syscall.ENOMEM, 13: syscall.EACCES,
	16: syscall.EBUSY, 19: syscall.ENODEV, 22: syscall.EINVAL, 28: syscall.ENOSPC, 95: syscall.EOPNOTSUPP,
}
