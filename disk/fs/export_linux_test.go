package fs

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// CachedPages is what a test asks of a device that it keeps open.
func CachedPages(t *testing.T, f *os.File) uint64 {
	t.Helper()
	n, err := cachedPages(f)
	if errors.Is(err, unix.ENOSYS) {
		t.Skip("missing: cachestat (Linux 6.5)")
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// DropCache is what mounting and unmounting do.
func DropCache(device string) error { return dropCache(device) }
