package nbd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/etcdlab/etcdlab/disk"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveEnv); dir != "" {
		fmt.Fprintln(os.Stderr, serveChild(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// newDir is a directory with a name that is short enough for sockets.
func newDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nbd")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newEngine(t testing.TB, o disk.Options) *disk.Engine {
	t.Helper()
	o.Dir = newDir(t)
	if o.Size == 0 {
		o.Size = 16 << 20
	}
	must(t, disk.Create(o))
	e, err := disk.Open(o)
	must(t, err)
	t.Cleanup(func() { must(t, e.Close()) })
	return e
}

// serveBackend serves b until the test ends.
func serveBackend(t testing.TB, b backend, release func()) *Device {
	t.Helper()
	d, err := attach(t.Context(), b, newDir(t))
	must(t, err)
	t.Cleanup(func() {
		release()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		must(t, d.Detach(ctx))
	})
	return d
}

// attachNew serves a new disk.
func attachNew(t testing.TB, o disk.Options) (*disk.Engine, *Device) {
	t.Helper()
	e := newEngine(t, o)
	return e, serveBackend(t, e, e.Release)
}

func filled(v byte, n int) []byte { return bytes.Repeat([]byte{v}, n) }

// A flush that is held back keeps neither the requests of its own connection
// waiting nor those of another.
func TestHeldFlushKeepsNobodyWaiting(t *testing.T) {
	e, d := attachNew(t, disk.Options{})
	a, b := dial(t, d.Path()), dial(t, d.Path())
	e.Hold(t.Context(), 0)
	_, err := a.WriteAt(filled(1, 4096), 0)
	must(t, err)
	flushed, err := a.start(cmdFlush, 0, 0, 0, nil, nil)
	must(t, err)
	if held, _ := e.Hold(t.Context(), time.Minute); held != 1 {
		t.Fatalf("%d flushes are held back, want one", held)
	}
	for _, c := range []*client{a, b} {
		p := make([]byte, 4096)
		_, err := c.WriteAt(filled(2, 4096), 4096)
		must(t, err)
		_, err = c.ReadAt(p, 0)
		must(t, err)
		if !bytes.Equal(p, filled(1, 4096)) {
			t.Error("a read beside a held flush reads something else")
		}
	}
	select {
	case err := <-flushed:
		t.Fatalf("a flush that is held back ended with %v", err)
	default:
	}
	e.Release()
	must(t, <-flushed)
}

// A flush covers what completed on another connection: the promise of
// multi-conn.
func TestFlushCoversOtherConnections(t *testing.T) {
	e, d := attachNew(t, disk.Options{})
	a, b := dial(t, d.Path()), dial(t, d.Path())
	if a.flags&flagMultiConn == 0 {
		t.Fatal("several connections are not offered")
	}
	_, err := a.WriteAt(filled(1, 4096), 0)
	must(t, err)
	must(t, b.Sync())
	if cut := e.Cut(); cut.Uncovered != 0 {
		t.Errorf("the cut found %+v, want nothing uncovered", cut)
	}
}

func TestErrors(t *testing.T) {
	e, d := attachNew(t, disk.Options{Profile: disk.Honest4K})
	c := dial(t, d.Path())
	must(t, e.SetFaults([]disk.Fault{{Op: disk.OpRead, Offset: 8192, Length: 4096}}))
	for _, tt := range []struct {
		name        string
		kind, flags uint16
		off         int64
		length      uint32
		want        error
	}{
		{"read of a bad sector", cmdRead, 0, 8192, 4096, syscall.EIO},
		{"read past the end", cmdRead, 0, e.Size(), 4096, syscall.EINVAL},
		{"read of a negative offset", cmdRead, 0, -4096, 8192, syscall.EINVAL},
		{"read that is too long", cmdRead, 0, 0, maxRequest + 4096, syscall.EINVAL},
		{"read of half a block", cmdRead, 0, 512, 512, syscall.EINVAL},
		{"trim past the end", cmdTrim, 0, e.Size() - 4096, 8192, syscall.EINVAL},
		{"zeroes past the end", cmdWriteZeroes, 0, e.Size() - 4096, 8192, syscall.ENOSPC},
		{"fast zeroes", cmdWriteZeroes, 1 << 4, 0, 4096, syscall.EINVAL},
		{"a trim with no-hole", cmdTrim, cmdFlagNoHole, 0, 4096, syscall.EINVAL},
		{"a flush of a range", cmdFlush, 0, 4096, 4096, syscall.EINVAL},
		{"block status", 7, 0, 0, 4096, syscall.EINVAL},
		{"read of nothing", cmdRead, 0, 0, 0, nil},
		{"trim of all", cmdTrim, cmdFlagFUA, 0, uint32(e.Size()), nil},
	} {
		into := make([]byte, 0)
		done, err := c.start(tt.kind, tt.flags, tt.off, tt.length, nil, into)
		must(t, err)
		if err := <-done; !errors.Is(err, tt.want) {
			t.Errorf("%s gives %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := c.WriteAt(filled(1, 8192), e.Size()-4096); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a write past the end gives %v", err)
	}
	if _, err := c.WriteAt(filled(1, 4096), 0); err != nil {
		t.Errorf("after all of this a write gives %v", err)
	}
	if n := d.Connections(); n != 1 {
		t.Errorf("%d connections, want the one that was never thrown out", n)
	}
}

func TestOffers(t *testing.T) {
	for _, profile := range disk.Profiles() {
		_, d := attachNew(t, disk.Options{Profile: profile})
		c := dial(t, d.Path())
		if got, want := c.flags&flagSendFUA != 0, profile == disk.FUA; got != want {
			t.Errorf("%s: FUA is offered: %t", profile, got)
		}
		if c.flags&flagSendFlush == 0 || c.flags&flagSendTrim == 0 || c.flags&flagSendWriteZeroes == 0 {
			t.Errorf("%s: flags %#x", profile, c.flags)
		}
		if c.size != 16<<20 || int64(c.sizes[0]) != disk.BlockSize(profile) || c.sizes[1] < c.sizes[0] || c.sizes[2] != maxRequest {
			t.Errorf("%s: size %d, blocks %v", profile, c.size, c.sizes)
		}
	}
}
