// Package nbd owns the front that shows a disk engine to QEMU: a server of the
// Network Block Device protocol, fixed newstyle, on a unix socket
// (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md). It needs
// neither root nor a kernel module: the machine that serves is the power supply
// of the guest's disk.
//
// An engine without power is served on, as package fuse does: it swallows writes
// and flushes without an error and still answers reads, so that a guest that
// lives a moment longer than its disk notices nothing and leaves nothing. What a
// killed QEMU had sent may still lie unread in its socket; Disconnect before a
// restore, or it would reach the disk after the power loss that killed its
// sender.
package nbd

import (
	"errors"
	"io"
	"syscall"

	"github.com/etcdlab/etcdlab/disk"
)

// ExportName is the name of the one export. The empty name, which the protocol
// calls the default, is the same one.
const ExportName = "disk"

// SocketName is the name of the socket in the directory that Attach is given.
const SocketName = "nbd.sock"

const (
	// maxRequest bounds a read or write in bytes. It is what the protocol lets
	// a client assume that was told nothing.
	maxRequest = 32 << 20
	// maxInFlight bounds the payload of the requests of one connection that
	// are served at once, in bytes, and maxRequests their number.
	maxInFlight = maxRequest
	maxRequests = 512
	// maxConnections bounds what clients that misbehave can cost in memory.
	maxConnections = 16
	// preferred is the size of request that suits the engine's cache.
	preferred = 4096
)

// backend is what is served: an engine, or in tests one with a bug.
type backend interface {
	io.ReaderAt
	io.WriterAt
	WriteFUA(p []byte, off int64) (int, error)
	Discard(off, n int64) error
	WriteZeroes(off, n int64) error
	Flush() error
	Size() int64
	Profile() string
	BlockSize() int64
}

// export is the disk as one client negotiated it.
type export struct {
	backend
	size    int64
	minimum int64 // bytes that addresses and lengths are a multiple of
	flags   uint16
}

// newExport says what a client may ask of the disk. Flushes are always offered,
// even of a disk that is durable without: its profile can change under a client,
// and one that was told not to flush would go on without.
//
// Several connections are safe, as the protocol understands it: all speak to one
// engine, where a write is before its reply is sent, so that a flush on any of
// them covers what completed on any other.
func newExport(b backend) *export {
	x := &export{backend: b, size: b.Size(), minimum: b.BlockSize()}
	x.flags = flagHasFlags | flagSendFlush | flagSendTrim | flagSendWriteZeroes | flagMultiConn
	if b.Profile() == disk.FUA {
		x.flags |= flagSendFUA
	}
	return x
}

// errno is the protocol's error for one of the engine. What is none of those
// that it knows is an I/O error.
func errno(err error) uint32 {
	if err == nil {
		return 0
	}
	for _, e := range []syscall.Errno{syscall.EINVAL, syscall.ENOSPC, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return errnos[e]
		}
	}
	return errnos[syscall.EIO]
}

// errnos are the numbers on the wire: Linux's, whatever the server runs on.
var errnos = map[syscall.Errno]uint32{
	syscall.EIO: 5, syscall.ENOMEM: 12, syscall.EINVAL: 22, syscall.ENOSPC: 28,
}
