package nbd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/disk"
)

// handshakeTime bounds a client's negotiation.
const handshakeTime = 30 * time.Second

// maxSocket is the longest path of a unix socket in bytes, on every system.
const maxSocket = 103

// Device is a disk that is served.
type Device struct {
	path     string
	backend  backend
	listener *net.UnixListener
	accepted sync.WaitGroup // the goroutine that accepts

	mu       sync.Mutex
	conns    map[net.Conn]chan struct{} // closed when its goroutines have ended
	detached bool
}

// Attach serves the engine in this process on a socket in dir, which is made if
// missing. Only the owner may connect. The socket that a killed server left is
// replaced. The engine's lifetime stays the caller's: close it after Detach.
func Attach(ctx context.Context, e *disk.Engine, dir string) (*Device, error) {
	return attach(ctx, e, dir)
}

func attach(ctx context.Context, b backend, dir string) (*Device, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("serve a disk in %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("serve a disk in %s: %w", dir, err)
	}
	path := filepath.Join(dir, SocketName)
	l, err := listen(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("serve a disk on %s: %w", path, err)
	}
	d := &Device{path: path, backend: b, listener: l, conns: map[net.Conn]chan struct{}{}}
	d.accepted.Go(d.accept)
	return d, nil
}

// listen binds the socket in a directory that only the owner can enter, and
// moves it to its place when its mode is right: there is no moment at which
// another could connect, and the umask, which is the whole process's, stays.
func listen(ctx context.Context, path string) (*net.UnixListener, error) {
	dir := filepath.Dir(path)
	if n := len(path) + len("/.0123456789"); n > maxSocket {
		return nil, fmt.Errorf("the path is too long for a socket by %d bytes: use a directory with a shorter name", n-maxSocket)
	}
	// A server that lives is not to lose its clients to this one.
	if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path); err == nil {
		_ = c.Close()
		return nil, errors.New("another server answers there: end it first")
	}
	private, err := os.MkdirTemp(dir, ".")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	name := filepath.Join(private, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it would look for the name that it had
	if err := errors.Join(os.Chmod(name, 0o600), os.Rename(name, path)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Path is the socket.
func (d *Device) Path() string { return d.path }

// accept serves every client until the listener is closed.
func (d *Device) accept() {
	for wait := time.Millisecond; ; {
		c, err := d.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // as when the process has no descriptor left
			time.Sleep(wait)
			wait = min(2*wait, time.Second)
			continue
		}
		wait = time.Millisecond
		done := make(chan struct{})
		d.mu.Lock()
		if d.detached || len(d.conns) >= maxConnections {
			_ = c.Close()
		} else {
			d.conns[c] = done
			go func() {
				defer d.forget(c, done)
				d.serve(c)
			}()
		}
		d.mu.Unlock()
	}
}

// serve serves one client. Why one was thrown out is its own to find.
func (d *Device) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReaderSize(c, 64<<10)
	_ = c.SetDeadline(time.Now().Add(handshakeTime))
	x, err := negotiate(in, c, d.backend)
	if err != nil {
		return
	}
	_ = c.SetDeadline(time.Time{})
	_ = newConn(x, c, in).serve()
}

// forget ends the account of a client whose requests have all ended.
func (d *Device) forget(c net.Conn, done chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, c)
	close(done)
}

// Connections is how many clients there are.
func (d *Device) Connections() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns)
}

// Disconnect ends every connection and waits until no request of any is in the
// engine, so that nothing that a client has sent reaches the disk later. Clients
// may connect again at once. A flush that is held back keeps it waiting: cut or
// release first.
func (d *Device) Disconnect(ctx context.Context) error {
	d.mu.Lock()
	var ending []chan struct{}
	for c, done := range d.conns {
		_ = c.Close()
		ending = append(ending, done)
	}
	d.mu.Unlock()
	for _, done := range ending {
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("disconnect the clients of %s: a request is still in the disk, as a flush that is held back: cut or release it: %w",
				d.path, ctx.Err())
		}
	}
	return nil
}

// Detach ends the server, its connections and its socket. It may be called
// again, after success and after failure.
func (d *Device) Detach(ctx context.Context) error {
	d.mu.Lock()
	first := !d.detached
	d.detached = true
	d.mu.Unlock()
	if first {
		// Before the listener: from then on another may serve there.
		_ = os.Remove(d.path)
		_ = d.listener.Close()
	}
	d.accepted.Wait()
	return d.Disconnect(ctx)
}
