package blockio

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDropCache: the kernel keeps the cache of a device that somebody has open.
func TestDropCache(t *testing.T) {
	path := loop(t)
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	cached := func() uint64 {
		n, err := cachedPages(f)
		if errors.Is(err, unix.ENOSYS) {
			t.Skip("missing: cachestat (Linux 6.5)")
		}
		must(t, err)
		return n
	}
	_, err = f.ReadAt(make([]byte, 1<<20), 0)
	must(t, err)
	if cached() == 0 {
		t.Error("nothing is cached of what was read: this test sees nothing")
	}
	must(t, DropCache(path))
	if n := cached(); n > 0 {
		t.Errorf("%d pages are cached after they were dropped", n)
	}

	// A page that somebody looks at is dropped once they look away.
	page, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
	must(t, err)
	dropped := make(chan error, 1)
	go func() { dropped <- DropCache(path) }()
	select {
	case err := <-dropped:
		t.Fatalf("it was dropped while it was mapped, or was said to be: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	must(t, unix.Munmap(page))
	must(t, <-dropped)
	if n := cached(); n > 0 {
		t.Errorf("%d pages are cached after they were dropped", n)
	}
}
