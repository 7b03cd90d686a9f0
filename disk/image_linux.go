package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func punchHole(f *os.File, off, n int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
}

// nextData returns where data begins at or after off, false if none does.
func nextData(f *os.File, off int64) (int64, bool) {
	at, err := f.Seek(off, unix.SEEK_DATA)
	if err == nil {
		return at, true
	}
	// ENXIO says that there is none; a file system that does not know of
	// holes says something else, and then everything counts as data.
	return off, !errors.Is(err, unix.ENXIO)
}
