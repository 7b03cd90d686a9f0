package blockio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// memory is a device of 64 KiB whose last block cannot be read.
type memory struct {
	mu     sync.Mutex
	data   [64 << 10]byte
	said   []string
	synced chan struct{} // a Sync waits until it is closed
}

func (m *memory) note(format string, a ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = append(m.said, fmt.Sprintf(format, a...))
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(m.data)-len(p)) {
		return 0, fmt.Errorf("outside: %w", syscall.EINVAL)
	}
	if off+int64(len(p)) > 60<<10 {
		return 0, fmt.Errorf("a bad block: %w", syscall.EIO)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return copy(p, m.data[off:]), nil
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(m.data)-len(p)) {
		return 0, syscall.ENOSPC
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return copy(m.data[off:], p), nil
}

func (m *memory) WriteFUA(p []byte, off int64) (int, error) {
	m.note("fua %d", off)
	return m.WriteAt(p, off)
}

func (m *memory) Sync() error {
	<-m.synced
	return errors.New("an error without a number")
}

func (m *memory) Discard(off, n int64) error { m.note("discard %d %d", off, n); return nil }
func (m *memory) ZeroOut(off, n int64) error { m.note("zero %d %d", off, n); return nil }
func (m *memory) Close() error               { return nil }

func TestOperationsArrive(t *testing.T) {
	m := &memory{synced: make(chan struct{})}
	d, err := Over(t.Context(), func(_ context.Context, in io.Reader, out io.Writer) error { return Serve(m, in, out) })
	must(t, err)
	synced := make(chan error)
	go func() { synced <- d.Sync() }()
	// Beside the Sync, which waits.
	want := bytes.Repeat([]byte("block"), 1000)
	_, err = d.WriteAt(want, 512)
	must(t, err)
	got := make([]byte, len(want))
	_, err = d.ReadAt(got, 512)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Error("what was written is not read")
	}
	_, err = d.WriteFUA(want, 8192)
	must(t, err)
	must(t, d.Discard(1, 2))
	must(t, d.ZeroOut(3, 1<<40))
	if s := strings.Join(m.said, ", "); s != "fua 8192, discard 1 2, zero 3 1099511627776" {
		t.Errorf("the device heard %s", s)
	}
	if _, err := d.ReadAt(got[:4096], 60<<10); !errors.Is(err, syscall.EIO) {
		t.Errorf("a bad block gives %v", err)
	}
	if _, err := d.ReadAt(got, -1); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a read outside gives %v", err)
	}
	if _, err := d.WriteAt(got, 64<<10); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a write outside gives %v", err)
	}
	if _, err := d.ReadAt(make([]byte, MaxBytes+1), 0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a read that is too long gives %v", err)
	}
	close(m.synced)
	if err := <-synced; !errors.Is(err, syscall.EIO) {
		t.Errorf("an error without a number arrives as %v", err)
	}
	must(t, d.Close())
	must(t, d.Close())
	if err := d.Sync(); err == nil {
		t.Error("a closed device syncs")
	}
}

func TestWhatCannotBeOpened(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := Over(t.Context(), func(_ context.Context, in io.Reader, out io.Writer) error {
		return ServeFile(missing, true, in, out)
	})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("a missing device gives %v", err)
	}
	_, err = Over(t.Context(), func(_ context.Context, _ io.Reader, out io.Writer) error {
		fmt.Fprintln(out, "sh: etcdlab: not found, and whatever else a shell may have to say")
		return errors.New("exit status 127")
	})
	if err == nil || !strings.Contains(err.Error(), "not found") || !strings.Contains(err.Error(), "127") {
		t.Errorf("a command that is not there gives %v", err)
	}
}

// Who waits learns that the other end is gone, and why.
func TestOtherEndDies(t *testing.T) {
	m := &memory{synced: make(chan struct{})}
	die := make(chan struct{})
	d, err := Over(t.Context(), func(_ context.Context, in io.Reader, out io.Writer) error {
		r, w := io.Pipe()
		go func() { _, _ = io.Copy(w, in) }()
		served := make(chan error)
		go func() { served <- Serve(m, r, out) }()
		<-die
		w.Close()
		close(m.synced)
		<-served
		return errors.New("killed")
	})
	must(t, err)
	m.note("up")
	synced := make(chan error)
	go func() { synced <- d.Sync() }()
	_, err = d.WriteAt(make([]byte, 512), 0)
	must(t, err)
	close(die)
	if err := <-synced; err == nil {
		t.Error("a sync at an end that is gone succeeds")
	}
	if err := d.Close(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("closing it gives %v", err)
	}
}

// FuzzServe has the other end say anything at all.
func FuzzServe(f *testing.F) {
	for op := opRead; op <= opZero+1; op++ {
		for _, x := range []frame{
			{code: uint32(op), tag: 1, off: 512, length: 512}, {code: uint32(op), off: -1, length: -1, size: 3},
			{code: uint32(op), length: 1 << 62}, {code: uint32(op), size: 1<<32 - 1},
		} {
			f.Add(append(x.put(nil), "abc"...))
		}
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		m := &memory{synced: make(chan struct{})}
		close(m.synced)
		var out bytes.Buffer
		_ = Serve(m, bytes.NewReader(said), &out)
		for r := bytes.NewReader(out.Bytes()); r.Len() > 0; {
			reply, err := readFrame(r)
			must(t, err)
			_, err = io.CopyN(io.Discard, r, int64(reply.size))
			must(t, err)
		}
	})
}

// FuzzRemote has the server say anything at all.
func FuzzRemote(f *testing.F) {
	hello := frame{}.put(nil)
	f.Add(hello)
	f.Add(append(frame{code: 2, size: 3}.put(nil), "abc"...))
	f.Add(append(append(hello, frame{tag: 1, size: 4}.put(nil)...), "data"...))
	f.Add(append(hello, frame{code: 5, tag: 1}.put(nil)...))
	f.Add(append(hello, frame{tag: 2, size: 1<<32 - 1}.put(nil)...))
	f.Fuzz(func(t *testing.T, said []byte) {
		in, w := io.Pipe()
		go func() { _, _ = io.Copy(io.Discard, in) }()
		d, err := Remote(bytes.NewReader(said), w)
		if err != nil {
			return
		}
		_, _ = d.ReadAt(make([]byte, 4), 0)
		_ = d.Sync()
		must(t, d.Close())
	})
}
