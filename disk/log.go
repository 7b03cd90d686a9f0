package disk

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Log is a write log that is read: one that the kernel's dm-log-writes target
// or one that the engine recorded.
type Log struct {
	Entries    []Entry
	SectorSize int64 // bytes, of the log's own units
	// EndMarks says that a flush completed where its end mark is. The kernel
	// logs a flush when it has completed, with what it covers before it.
	EndMarks bool

	r io.ReaderAt
}

// OpenLog reads the headers of all entries of a log of size bytes. Data stays
// in r, which the log keeps. It fails on a log that is not one or is cut short.
func OpenLog(r io.ReaderAt, size int64) (*Log, error) {
	var b [4096]byte
	if size < SectorSize {
		return nil, fmt.Errorf("read the write log: %d bytes are too few for a superblock", size)
	}
	if _, err := r.ReadAt(b[:SectorSize], 0); err != nil {
		return nil, fmt.Errorf("read the write log's superblock: %w", err)
	}
	le := binary.LittleEndian
	if m := le.Uint64(b[0:]); m != superMagic {
		return nil, fmt.Errorf("read the write log: magic is %#x, not %#x: not a log of dm-log-writes", m, uint64(superMagic))
	}
	if v := le.Uint64(b[8:]); v != superVersion {
		return nil, fmt.Errorf("read the write log: version %d is not %d", v, superVersion)
	}
	l := &Log{SectorSize: int64(le.Uint32(b[24:])), r: r}
	switch l.SectorSize {
	case 512, 1024, 2048, 4096:
	default:
		return nil, fmt.Errorf("read the write log: a sector size of %d bytes is not supported", l.SectorSize)
	}
	count := le.Uint64(b[16:])
	epoch, _, stamped := stamp(b[:])
	off := l.SectorSize
	for i := uint64(0); stamped || i < count; i++ {
		head := b[:l.SectorSize]
		if off+l.SectorSize > size {
			if stamped {
				break
			}
			return nil, fmt.Errorf("read the write log: it ends in entry %d of %d", i, count)
		}
		if _, err := r.ReadAt(head, off); err != nil {
			return nil, fmt.Errorf("read entry %d of the write log: %w", i, err)
		}
		if stamped {
			if ep, index, ok := stamp(head); !ok || ep != epoch || index != i {
				break
			}
		}
		e, err := parseEntry(head, i, l.SectorSize)
		if err != nil {
			return nil, fmt.Errorf("read the write log: %w", err)
		}
		off += l.SectorSize
		e.Offset = off
		if e.DataBytes() > size-off {
			// The process that appended died in between: nobody was told
			// that the write completed.
			if stamped {
				break
			}
			return nil, fmt.Errorf("read the write log: it ends in the data of entry %d of %d", i, count)
		}
		off += e.DataBytes()
		l.Entries = append(l.Entries, e)
	}
	l.EndMarks = len(l.Entries) > 0 && l.Entries[0].Flags&FlagMark != 0 && l.Entries[0].Text == markFormat
	return l, nil
}

// ReadData reads p from off bytes into the entry's data.
func (l *Log) ReadData(e Entry, p []byte, off int64) error {
	return readData(l.r, e, p, off)
}

func readData(r io.ReaderAt, e Entry, p []byte, off int64) error {
	if off < 0 || off+int64(len(p)) > e.DataBytes() {
		return fmt.Errorf("read the data of log entry %d: %d bytes at %d are outside its %d", e.Index, len(p), off, e.DataBytes())
	}
	if n, err := r.ReadAt(p, e.Offset+off); n < len(p) {
		return fmt.Errorf("read the data of log entry %d: %w", e.Index, err)
	}
	return nil
}
