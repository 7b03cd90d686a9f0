package nbd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
)

// client is a user-space client of the protocol: the tests' peer, and a device
// of the conformance suite. Its methods may be called concurrently.
type client struct {
	c     net.Conn
	size  int64
	flags uint16
	sizes [3]uint32 // minimum, preferred and maximum block
	ended chan struct{}

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]*call
	failed  error
}

// call is a request that has no reply yet.
type call struct {
	into []byte // of a read
	done chan error
}

// dial negotiates the export by name.
func dial(t testing.TB, path string) *client {
	t.Helper()
	c, err := dialName(t, path, ExportName)
	must(t, err)
	return c
}

func dialName(t testing.TB, path, name string) (*client, error) {
	t.Helper()
	conn := greet(t, path)
	c := &client{c: conn, ended: make(chan struct{}), waiting: map[uint64]*call{}}
	about := be.AppendUint32(nil, uint32(len(name)))
	about = append(about, name...)
	about = be.AppendUint16(about, 1)
	about = be.AppendUint16(about, infoBlockSize)
	sendOption(t, conn, optGo, about)
	for {
		kind, data := readOptionReply(t, conn, optGo)
		switch {
		case kind == repAck:
			go c.receive()
			t.Cleanup(func() { c.Close() })
			return c, nil
		case kind&repError != 0:
			return nil, fmt.Errorf("the server refuses with %#x", kind)
		case be.Uint16(data) == infoExport:
			c.size, c.flags = int64(be.Uint64(data[2:])), be.Uint16(data[10:])
		case be.Uint16(data) == infoBlockSize:
			for i := range c.sizes {
				c.sizes[i] = be.Uint32(data[2+4*i:])
			}
		}
	}
}

// greet connects and gets through the first exchange.
func greet(t testing.TB, path string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "unix", path)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	var hello [18]byte
	_, err = io.ReadFull(conn, hello[:])
	must(t, err)
	if be.Uint64(hello[:]) != magicNBD || be.Uint64(hello[8:]) != magicOption || be.Uint16(hello[16:]) != handshakeFixed|handshakeNoZeroes {
		t.Fatalf("the server greets with %x", hello)
	}
	_, err = conn.Write(be.AppendUint32(nil, handshakeFixed|handshakeNoZeroes))
	must(t, err)
	return conn
}

func sendOption(t testing.TB, w io.Writer, code uint32, data []byte) {
	t.Helper()
	b := be.AppendUint64(nil, magicOption)
	b = be.AppendUint32(b, code)
	b = be.AppendUint32(b, uint32(len(data)))
	_, err := w.Write(append(b, data...))
	must(t, err)
}

func readOptionReply(t testing.TB, r io.Reader, code uint32) (kind uint32, data []byte) {
	t.Helper()
	var head [20]byte
	_, err := io.ReadFull(r, head[:])
	must(t, err)
	if be.Uint64(head[:]) != magicReply || be.Uint32(head[8:]) != code {
		t.Fatalf("the reply to option %d begins %x", code, head)
	}
	data = make([]byte, be.Uint32(head[16:]))
	_, err = io.ReadFull(r, data)
	must(t, err)
	return be.Uint32(head[12:]), data
}

// receive hands replies to those who wait for them.
func (c *client) receive() {
	defer close(c.ended)
	err := func() error {
		for {
			var head [replyBytes]byte
			if _, err := io.ReadFull(c.c, head[:]); err != nil {
				return err
			}
			if be.Uint32(head[:]) != magicSimple {
				return fmt.Errorf("a reply begins with %x", head)
			}
			handle, code := be.Uint64(head[8:]), be.Uint32(head[4:])
			c.mu.Lock()
			w := c.waiting[handle]
			delete(c.waiting, handle)
			c.mu.Unlock()
			if w == nil {
				return fmt.Errorf("a reply to handle %d, which nobody waits for", handle)
			}
			if code != 0 {
				w.done <- syscall.Errno(code)
				continue
			}
			if _, err := io.ReadFull(c.c, w.into); err != nil {
				w.done <- err
				return err
			}
			w.done <- nil
		}
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
	for _, w := range c.waiting {
		w.done <- err
	}
	c.waiting = nil
}

// start sends a request; the error of its reply comes later.
func (c *client) start(kind, flags uint16, off int64, length uint32, payload, into []byte) (<-chan error, error) {
	w := &call{into: into, done: make(chan error, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return nil, c.failed
	}
	c.next++
	c.waiting[c.next] = w
	b := be.AppendUint32(make([]byte, 0, requestBytes+len(payload)), magicRequest)
	b = be.AppendUint16(b, flags)
	b = be.AppendUint16(b, kind)
	b = be.AppendUint64(b, c.next)
	b = be.AppendUint64(b, uint64(off))
	b = be.AppendUint32(b, length)
	_, err := c.c.Write(append(b, payload...))
	return w.done, err
}

func (c *client) do(kind, flags uint16, off, length int64, payload, into []byte) error {
	done, err := c.start(kind, flags, off, uint32(length), payload, into)
	if err != nil {
		return err
	}
	return <-done
}

func (c *client) ReadAt(p []byte, off int64) (int, error) {
	if err := c.do(cmdRead, 0, off, int64(len(p)), nil, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *client) WriteAt(p []byte, off int64) (int, error) { return c.write(p, off, 0) }

// WriteFUA flushes after the write where FUA is not offered, as kernels do.
func (c *client) WriteFUA(p []byte, off int64) (int, error) {
	if c.flags&flagSendFUA != 0 {
		return c.write(p, off, cmdFlagFUA)
	}
	n, err := c.write(p, off, 0)
	if err == nil {
		err = c.Sync()
	}
	return n, err
}

func (c *client) write(p []byte, off int64, flags uint16) (int, error) {
	if err := c.do(cmdWrite, flags, off, int64(len(p)), p, nil); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *client) Sync() error { return c.do(cmdFlush, 0, 0, 0, nil, nil) }

func (c *client) Discard(off, n int64) error { return c.do(cmdTrim, 0, off, n, nil, nil) }

func (c *client) ZeroOut(off, n int64) error {
	return c.do(cmdWriteZeroes, cmdFlagNoHole, off, n, nil, nil)
}

// Close says goodbye and waits until the receiver has ended.
func (c *client) Close() error {
	c.mu.Lock()
	b := be.AppendUint32(nil, magicRequest)
	b = be.AppendUint16(b, 0)
	b = be.AppendUint16(b, cmdDisconnect)
	_, err := c.c.Write(append(b, make([]byte, requestBytes-8)...))
	c.mu.Unlock()
	if errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EPIPE) {
		err = nil
	}
	err = errors.Join(err, c.c.Close())
	<-c.ended
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
