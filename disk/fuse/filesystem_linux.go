package fuse

import (
	"errors"
	"syscall"
	"time"

	gofuse "github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/disk"
)

const (
	rootNode = gofuse.FUSE_ROOT_ID
	fileNode = 2

	// maxWrite bounds a request in bytes; the kernel splits what is longer.
	maxWrite = 1 << 20
	// Nothing but the engine's contents ever changes.
	forever = 24 * time.Hour
	// What statfs says is the granularity of discards on the loop device.
	granularity = 4096
)

// fileSystem is one file whose contents are the engine's.
type fileSystem struct {
	gofuse.RawFileSystem // answers what is not here with ENOSYS
	engine               *disk.Engine
	size                 int64
}

func newFileSystem(e *disk.Engine) *fileSystem {
	return &fileSystem{RawFileSystem: gofuse.NewDefaultRawFileSystem(), engine: e, size: e.Size()}
}

func (f *fileSystem) String() string { return fsName }

func (f *fileSystem) attr(node uint64, a *gofuse.Attr) {
	*a = gofuse.Attr{Ino: node, Nlink: 1, Mode: unix.S_IFREG | 0o600, Size: uint64(f.size), Blksize: granularity}
	if node == rootNode {
		*a = gofuse.Attr{Ino: node, Nlink: 2, Mode: unix.S_IFDIR | 0o700, Blksize: granularity}
	}
}

func (f *fileSystem) Lookup(_ <-chan struct{}, h *gofuse.InHeader, name string, out *gofuse.EntryOut) gofuse.Status {
	if h.NodeId != rootNode || name != FileName {
		return gofuse.ENOENT
	}
	out.NodeId, out.Generation = fileNode, 1
	f.attr(fileNode, &out.Attr)
	out.SetEntryTimeout(forever)
	out.SetAttrTimeout(forever)
	return gofuse.OK
}

func (f *fileSystem) GetAttr(_ <-chan struct{}, in *gofuse.GetAttrIn, out *gofuse.AttrOut) gofuse.Status {
	f.attr(in.NodeId, &out.Attr)
	out.SetTimeout(forever)
	return gofuse.OK
}

func (f *fileSystem) StatFs(_ <-chan struct{}, _ *gofuse.InHeader, out *gofuse.StatfsOut) gofuse.Status {
	out.Bsize, out.Frsize = granularity, granularity
	out.Blocks = uint64(f.size / granularity)
	out.NameLen = 255
	return gofuse.OK
}

// Open turns the page cache off: every write must reach the engine when the
// loop device makes it, and every read must see what the engine holds, also
// after a cut has changed it. Who only reads is asked for a flush when he closes
// it, which go-fuse answers: that is how a keeper waits, see Device.Keep. Nobody
// else shall wait for us.
func (f *fileSystem) Open(_ <-chan struct{}, in *gofuse.OpenIn, out *gofuse.OpenOut) gofuse.Status {
	if in.NodeId != fileNode {
		return gofuse.EISDIR
	}
	out.OpenFlags = gofuse.FOPEN_DIRECT_IO | gofuse.FOPEN_PARALLEL_DIRECT_WRITES
	if in.Flags&unix.O_ACCMODE != unix.O_RDONLY {
		out.OpenFlags |= gofuse.FOPEN_NOFLUSH
	}
	return gofuse.OK
}

func (f *fileSystem) OpenDir(<-chan struct{}, *gofuse.OpenIn, *gofuse.OpenOut) gofuse.Status {
	return gofuse.OK
}

func (f *fileSystem) ReadDir(_ <-chan struct{}, in *gofuse.ReadIn, out *gofuse.DirEntryList) gofuse.Status {
	if in.Offset == 0 {
		out.AddDirEntry(gofuse.DirEntry{Name: FileName, Mode: unix.S_IFREG, Ino: fileNode})
	}
	return gofuse.OK
}

func (f *fileSystem) Read(_ <-chan struct{}, in *gofuse.ReadIn, buf []byte) (gofuse.ReadResult, gofuse.Status) {
	off := int64(in.Offset)
	if off >= f.size {
		return gofuse.ReadResultData(nil), gofuse.OK
	}
	n, err := f.engine.ReadAt(buf[:min(int64(in.Size), f.size-off)], off)
	if err != nil {
		return nil, status(err)
	}
	return gofuse.ReadResultData(buf[:n]), gofuse.OK
}

func (f *fileSystem) Write(_ <-chan struct{}, in *gofuse.WriteIn, data []byte) (uint32, gofuse.Status) {
	if int64(in.Offset)+int64(len(data)) > f.size {
		return 0, gofuse.Status(syscall.ENOSPC)
	}
	n, err := f.engine.WriteAt(data, int64(in.Offset))
	return uint32(n), status(err)
}

// Fsync is what a flush of the loop device becomes.
func (f *fileSystem) Fsync(<-chan struct{}, *gofuse.FsyncIn) gofuse.Status {
	return status(f.engine.Flush())
}

// Fallocate is what discards and write-zeroes of the loop device become.
func (f *fileSystem) Fallocate(_ <-chan struct{}, in *gofuse.FallocateIn) gofuse.Status {
	off, n := int64(in.Offset), int64(in.Length)
	switch in.Mode &^ unix.FALLOC_FL_KEEP_SIZE {
	case unix.FALLOC_FL_PUNCH_HOLE:
		return status(f.engine.Discard(off, n))
	case unix.FALLOC_FL_ZERO_RANGE:
		return status(f.engine.WriteZeroes(off, n))
	}
	return gofuse.Status(syscall.EOPNOTSUPP)
}

func (f *fileSystem) Release(<-chan struct{}, *gofuse.ReleaseIn) {}
func (f *fileSystem) ReleaseDir(*gofuse.ReleaseIn)               {}

// status is the errno of an engine's error; what is none is an I/O error.
func status(err error) gofuse.Status {
	if err == nil {
		return gofuse.OK
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return gofuse.Status(errno)
	}
	return gofuse.EIO
}
