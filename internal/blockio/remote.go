package blockio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
)

// remote is a device at the other end of a pair of pipes.
type remote struct {
	w       io.WriteCloser
	ended   chan struct{} // closed when nothing is received any longer
	hangUp  func()        // lets the other end know that nobody reads
	finish  func() error  // waits for the other end
	sending sync.Mutex

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]*call
	failed  error
}

// call is an operation that has no reply yet.
type call struct {
	into []byte
	done chan error
}

// Remote is the device that Serve or ServeFile serves at the other end. Closing
// it closes w and waits until r ends.
func Remote(r io.Reader, w io.WriteCloser) (Device, error) {
	return newRemote(r, w, func() {}, func() error { return nil })
}

func newRemote(r io.Reader, w io.WriteCloser, hangUp func(), finish func() error) (*remote, error) {
	hello, err := readFrame(r)
	if err == nil && hello.code != 0 {
		text := make([]byte, hello.size)
		_, _ = io.ReadFull(r, text)
		err = fmt.Errorf("%s: %w", text, numbered(hello.code))
	}
	if err != nil {
		hangUp()
		return nil, fmt.Errorf("open a block device at the other end: %w", errors.Join(err, w.Close(), finish()))
	}
	d := &remote{w: w, ended: make(chan struct{}), hangUp: hangUp, finish: finish, waiting: map[uint64]*call{}}
	go d.receive(r)
	return d, nil
}

// Exec runs a command that has Serve or ServeFile at its standard input and
// output, such as a helper in a guest.
type Exec func(ctx context.Context, in io.Reader, out io.Writer) error

// Over is the device that the command serves. Closing it ends the command.
func Over(ctx context.Context, run Exec) (Device, error) {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	exited := make(chan error, 1)
	go func() {
		err := run(ctx, inR, outW)
		// Who waits learns why.
		end := err
		if end == nil {
			end = io.EOF
		}
		_ = outW.CloseWithError(end)
		_ = inR.CloseWithError(end)
		exited <- err
	}()
	return newRemote(outR, inW, func() { _ = outR.Close() }, sync.OnceValue(func() error {
		defer cancel()
		return <-exited
	}))
}

// receive hands replies to those who wait for them.
func (d *remote) receive(r io.Reader) {
	defer close(d.ended)
	defer d.hangUp()
	err := func() error {
		for {
			f, err := readFrame(r)
			if err != nil {
				return err
			}
			d.mu.Lock()
			w := d.waiting[f.tag]
			delete(d.waiting, f.tag)
			d.mu.Unlock()
			if w == nil {
				return fmt.Errorf("a reply to operation %d, which nobody waits for", f.tag)
			}
			if f.code == 0 && int(f.size) != len(w.into) {
				err = fmt.Errorf("a reply with %d bytes, not %d", f.size, len(w.into))
			} else if f.code == 0 {
				_, err = io.ReadFull(r, w.into)
			}
			if err != nil {
				w.done <- err
				return err
			}
			w.done <- numbered(f.code)
		}
	}()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = fmt.Errorf("the other end of a block device is gone: %w", err)
	for _, w := range d.waiting {
		w.done <- d.failed
	}
	d.waiting = nil
}

func (d *remote) do(op operation, off, length int64, data, into []byte) error {
	if len(data) > MaxBytes || len(into) > MaxBytes {
		return syscall.EINVAL
	}
	w := &call{into: into, done: make(chan error, 1)}
	d.mu.Lock()
	if d.failed != nil {
		defer d.mu.Unlock()
		return d.failed
	}
	d.next++
	f := frame{code: uint32(op), tag: d.next, off: off, length: length, size: uint32(len(data))}
	d.waiting[f.tag] = w
	d.mu.Unlock()
	d.sending.Lock()
	_, err := d.w.Write(append(f.put(nil), data...))
	d.sending.Unlock()
	if err != nil {
		return fmt.Errorf("the other end of a block device is gone: %w", err)
	}
	return <-w.done
}

func (d *remote) ReadAt(p []byte, off int64) (int, error) {
	if err := d.do(opRead, off, int64(len(p)), nil, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (d *remote) WriteAt(p []byte, off int64) (int, error)  { return d.write(opWrite, p, off) }
func (d *remote) WriteFUA(p []byte, off int64) (int, error) { return d.write(opFUA, p, off) }

func (d *remote) write(op operation, p []byte, off int64) (int, error) {
	if err := d.do(op, off, int64(len(p)), p, nil); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (d *remote) Sync() error                { return d.do(opSync, 0, 0, nil, nil) }
func (d *remote) Discard(off, n int64) error { return d.do(opDiscard, off, n, nil, nil) }
func (d *remote) ZeroOut(off, n int64) error { return d.do(opZero, off, n, nil, nil) }

// Close tells the other end that nothing more comes, and waits until it is gone.
func (d *remote) Close() error {
	err := errors.Join(d.w.Close(), d.finish())
	<-d.ended
	return err
}
