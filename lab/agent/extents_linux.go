package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

// pathOf is where one of lab.Files is now below a data directory; "" without.
// Names sort by age: a segment begins with its number, a snapshot with its term
// and index.
func pathOf(data, file string) (string, error) {
	var dir, suffix string
	switch file {
	case lab.FileDB:
		path := filepath.Join(data, "member", "snap", "db")
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		return path, nil
	case lab.FileWAL:
		dir, suffix = "wal", ".wal"
	case lab.FileSnap:
		dir, suffix = "snap", ".snap"
	default:
		return "", lab.CheckFile(file)
	}
	entries, err := os.ReadDir(filepath.Join(data, "member", dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	newest := ""
	for _, e := range entries { // sorted
		if strings.HasSuffix(e.Name(), suffix) {
			newest = filepath.Join(data, "member", dir, e.Name())
		}
	}
	return newest, nil
}

// Extents is where a file lies on the member's disk.
func (a *Agent) Extents(_ context.Context, file string) ([]disk.Extent, error) {
	if _, err := a.faultable("FileFaulter"); err != nil {
		return nil, err
	}
	if reason := LacksOf(a.cfg.Disk.Kind, a.cfg.Disk.FS)["FileFaulter"]; reason != "" {
		return nil, a.lacks("FileFaulter", reason)
	}
	x, err := extentsOf(a.cfg.DataDir, file)
	if err != nil {
		return nil, fmt.Errorf("find where %s of %s lies: %w", file, a.cfg.Member, err)
	}
	return x, nil
}

func extentsOf(data, file string) ([]disk.Extent, error) {
	path, err := pathOf(data, file)
	if err != nil || path == "" {
		return nil, err
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil // renamed just now
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return fiemap(fd)
}

// linux/fiemap.h
const (
	fsIocFiemap     = 0xc020660b
	fiemapLast      = 0x1
	fiemapElsewhere = 0x2 | 0x4 | 0x8 | 0x100 | 0x200 // unknown, not allocated yet, encoded, not aligned, inline
	fiemapBatch     = 64
)

type fiemapExtent struct {
	logical, physical, length uint64
	_                         [2]uint64
	flags                     uint32
	_                         [3]uint32
}

type fiemapRequest struct {
	start, length                 uint64
	flags, mapped, count, padding uint32
	extents                       [fiemapBatch]fiemapExtent
}

// fiemap asks the file system where a file lies on its device, without having it
// write anything out first: what is in memory alone lies nowhere yet.
func fiemap(fd int) (out []disk.Extent, err error) {
	for start := uint64(0); ; {
		r := fiemapRequest{start: start, length: ^uint64(0) - start, count: fiemapBatch}
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), fsIocFiemap, uintptr(unsafe.Pointer(&r))); errno != 0 {
			return nil, fmt.Errorf("FIEMAP: %w", errno)
		}
		if r.mapped == 0 {
			return out, nil
		}
		for _, x := range r.extents[:min(r.mapped, fiemapBatch)] {
			if x.flags&fiemapElsewhere == 0 {
				out = append(out, disk.Extent{File: int64(x.logical), Disk: int64(x.physical), Length: int64(x.length)})
			}
			if x.flags&fiemapLast != 0 {
				return out, nil
			}
			start = x.logical + x.length
		}
	}
}
