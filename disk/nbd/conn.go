package nbd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sync/semaphore"
)

// conn is a client that has chosen the export.
type conn struct {
	*export
	net.Conn
	in *bufio.Reader

	bytes    *semaphore.Weighted // of payload in flight
	requests *semaphore.Weighted
	running  sync.WaitGroup

	sending sync.Mutex // one reply at a time
}

func newConn(x *export, c net.Conn, in *bufio.Reader) *conn {
	return &conn{
		export: x, Conn: c, in: in,
		bytes: semaphore.NewWeighted(maxInFlight), requests: semaphore.NewWeighted(maxRequests),
	}
}

// serve answers requests until the client goes, and returns when the last one
// is done. Each is served by a goroutine of its own: one that waits, as a flush
// that is held back does, must not keep others waiting.
func (c *conn) serve() error {
	defer c.running.Wait()
	ctx := context.Background() // requests end by themselves, or with the engine
	for {
		var head [requestBytes]byte
		if _, err := io.ReadFull(c.in, head[:]); err != nil {
			return err
		}
		r, err := parseRequest(&head)
		if err != nil {
			return err
		}
		if r.kind == cmdDisconnect {
			return nil
		}
		payload := r.payload()
		if payload > maxRequest {
			if r.kind == cmdWrite {
				return fmt.Errorf("a write of %d bytes is longer than %d", payload, maxRequest)
			}
			payload = 0 // refused below
		}
		if err := c.requests.Acquire(ctx, 1); err != nil {
			return err
		}
		if err := c.bytes.Acquire(ctx, payload); err != nil {
			return err
		}
		b := make([]byte, replyBytes+payload)
		if r.kind == cmdWrite {
			if _, err := io.ReadFull(c.in, b[replyBytes:]); err != nil {
				return err
			}
		}
		c.running.Go(func() {
			defer c.requests.Release(1)
			defer c.bytes.Release(payload)
			// A reply that cannot be sent means that the client is gone, and
			// reading the next request says so.
			_ = c.reply(r, b)
		})
	}
}

// payload is how many bytes follow a request or its reply.
func (r request) payload() int64 {
	if r.kind == cmdRead || r.kind == cmdWrite {
		return int64(r.length)
	}
	return 0
}

// reply serves the request, whose payload has its place in b behind the head of
// the reply, and sends the reply.
func (c *conn) reply(r request, b []byte) error {
	code := errno(c.do(r, b[replyBytes:]))
	putReply(b, code, r.handle)
	if r.kind != cmdRead || code != 0 {
		b = b[:replyBytes]
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	_, err := c.Write(b)
	return err
}

// do checks the request and hands it to the engine.
func (x *export) do(r request, p []byte) error {
	if err := x.check(r); err != nil {
		return err
	}
	off, n, fua := int64(r.offset), int64(r.length), r.flags&cmdFlagFUA != 0
	var err error
	switch r.kind {
	case cmdRead:
		_, err = x.ReadAt(p, off)
		return err
	case cmdWrite:
		// Whatever was offered: a client that asks for it relies on it.
		if fua {
			_, err = x.WriteFUA(p, off)
		} else {
			_, err = x.WriteAt(p, off)
		}
		return err
	case cmdFlush:
		return x.Flush()
	case cmdTrim:
		err = x.Discard(off, n)
	case cmdWriteZeroes:
		err = x.WriteZeroes(off, n)
	}
	if err == nil && fua {
		err = x.Flush()
	}
	return err
}

// check fails on what the protocol or the disk does not have.
func (x *export) check(r request) error {
	allowed := uint16(cmdFlagFUA)
	switch r.kind {
	case cmdFlush:
		if r.offset != 0 || r.length != 0 {
			return syscall.EINVAL
		}
	case cmdWriteZeroes:
		allowed |= cmdFlagNoHole // a zeroed range of this disk has no holes
	case cmdRead, cmdWrite, cmdTrim:
	default:
		return syscall.EINVAL
	}
	switch size, minimum := uint64(x.size), uint64(x.minimum); {
	case r.flags&^allowed != 0:
		// Fast zeroes and what else was not offered.
		return syscall.EINVAL
	case r.kind == cmdRead && r.length > maxRequest:
		return syscall.EINVAL
	case r.offset > size || uint64(r.length) > size-r.offset:
		if r.kind == cmdWrite || r.kind == cmdWriteZeroes {
			return syscall.ENOSPC
		}
		return syscall.EINVAL
	case r.offset%minimum != 0 || uint64(r.length)%minimum != 0:
		return syscall.EINVAL
	}
	return nil
}
