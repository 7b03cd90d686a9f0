package blockio

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// dropTries bounds how often a cache is dropped, a millisecond apart.
const dropTries = 2000

// DropCache writes out and drops what the kernel has cached of a block device,
// so that who opens or mounts it next sees what the disk holds. The kernel does
// that by itself only when the last one who has the device open closes it, but
// udev or blkid may be looking, and an agent keeps its loop device open.
//
// BLKFLSBUF leaves pages that are being read or looked at, and says nothing; of
// an ext4 superblock that is enough for a mount that replays no journal.
// cachestat (Linux 6.5) tells of them, so that they are asked for again.
func DropCache(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var cached uint64
	for range dropTries {
		if err := unix.IoctlSetInt(int(f.Fd()), unix.BLKFLSBUF, 0); err != nil {
			return fmt.Errorf("drop the cache of %s: %w", path, err)
		}
		if cached, err = cachedPages(f); err != nil || cached == 0 {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("drop the cache of %s: %d pages stay: another program has them mapped or reads them all the time; end it", path, cached)
}

// cachedPages is how many pages of a file the kernel has in memory.
func cachedPages(f *os.File) (uint64, error) {
	var all unix.CachestatRange // of length 0: to the end
	var stat unix.Cachestat_t
	err := unix.Cachestat(uint(f.Fd()), &all, &stat, 0)
	return stat.Cache, err
}
