package disk

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Flags of a log entry, as Linux's dm-log-writes writes them
// (drivers/md/dm-log-writes.c).
type Flags uint64

const (
	FlagFlush    Flags = 1 << iota // the cache is flushed
	FlagFUA                        // the write bypasses the cache
	FlagDiscard                    // the range reads zero, no data follows
	FlagMark                       // a note, in the entry's own sector
	FlagMetadata                   // file system metadata
)

const allFlags = FlagFlush | FlagFUA | FlagDiscard | FlagMark | FlagMetadata

// Entry is one entry of a write log.
type Entry struct {
	Index   uint64 // place in the log, from 0
	Sector  uint64 // of SectorSize bytes, whatever the log's own sector size
	Sectors uint64 // 0 for a mark or a flush without data
	Flags   Flags
	Text    string // of a mark
	Offset  int64  // of the data in the log file, in bytes
}

// Writes reports whether the entry changes the disk.
func (e Entry) Writes() bool { return e.Sectors > 0 && e.Flags&FlagMark == 0 }

// DataBytes is how many bytes of data follow the entry in the log.
func (e Entry) DataBytes() int64 {
	if e.Flags&(FlagDiscard|FlagMark) != 0 {
		return 0
	}
	return int64(e.Sectors) * SectorSize
}

const (
	superMagic   = 0x6a736677736872 // dm-log-writes
	superVersion = 1
	superBytes   = 28 // magic, version, entries, sector size
	entryBytes   = 32 // sector, sectors, flags, data length

	// Readers of the format ignore what follows a header in its sector. The
	// engine puts a stamp there, which tells an entry of this log from one
	// that an earlier use of the file left behind, so that a log whose count
	// of entries was never written can still be read.
	stampMagic = 0x3162616c64637465 // "etcdlab1"
	stampAt    = SectorSize - 24

	maxMark = stampAt - entryBytes
)

// The engine's own marks. markFormat is the first entry of its logs and says
// that a flush ends where its end mark is, not where its entry is.
const (
	markFormat   = "etcdlab-log 1"
	markFlushEnd = "flush-end " // then how many entries back its flush is
	markCut      = "cut"
	markRestore  = "restore "  // an intent; then policy and seed
	markCovering = "covering " // an intent; then as in an end mark
	markCovered  = "covered"
)

// putSuper writes the superblock into one sector.
func putSuper(b []byte, entries, epoch uint64) {
	clear(b[:SectorSize])
	le := binary.LittleEndian
	le.PutUint64(b[0:], superMagic)
	le.PutUint64(b[8:], superVersion)
	le.PutUint64(b[16:], entries)
	le.PutUint32(b[24:], SectorSize)
	if epoch != 0 {
		putStamp(b, epoch, 0)
	}
}

// putEntry writes an entry's header into one sector; sectors are of
// SectorSize. The data length is that of a mark's text: the kernel leaves it 0
// for writes, whose length is their sectors.
func putEntry(b []byte, e Entry, epoch uint64) {
	clear(b[:SectorSize])
	le := binary.LittleEndian
	le.PutUint64(b[0:], e.Sector)
	le.PutUint64(b[8:], e.Sectors)
	le.PutUint64(b[16:], uint64(e.Flags))
	le.PutUint64(b[24:], uint64(len(e.Text)))
	copy(b[entryBytes:stampAt], e.Text)
	putStamp(b, epoch, e.Index)
}

func putStamp(b []byte, epoch, index uint64) {
	le := binary.LittleEndian
	le.PutUint64(b[stampAt:], stampMagic)
	le.PutUint64(b[stampAt+8:], epoch)
	le.PutUint64(b[stampAt+16:], index)
}

// stamp returns the stamp of a sector, if it has one.
func stamp(b []byte) (epoch, index uint64, ok bool) {
	le := binary.LittleEndian
	if le.Uint64(b[stampAt:]) != stampMagic {
		return 0, 0, false
	}
	return le.Uint64(b[stampAt+8:]), le.Uint64(b[stampAt+16:]), true
}

// parseEntry reads an entry's header from a sector of sectorSize bytes.
func parseEntry(b []byte, index uint64, sectorSize int64) (Entry, error) {
	le := binary.LittleEndian
	e := Entry{Index: index, Flags: Flags(le.Uint64(b[16:]))}
	sector, sectors, length := le.Uint64(b[0:]), le.Uint64(b[8:]), le.Uint64(b[24:])
	// No disk is so large; what follows can then not overflow.
	const limit = 1 << 48
	per := uint64(sectorSize / SectorSize)
	switch {
	case e.Flags&^allFlags != 0:
		return e, fmt.Errorf("entry %d has unknown flags %#x", index, uint64(e.Flags))
	case sector > limit || sectors > limit:
		return e, fmt.Errorf("entry %d is at sector %d with %d sectors: more than any disk has", index, sector, sectors)
	}
	e.Sector, e.Sectors = sector*per, sectors*per
	if e.Flags&FlagMark != 0 {
		if length > uint64(len(b)-entryBytes) {
			return e, fmt.Errorf("entry %d is a mark of %d bytes: more than its sector holds", index, length)
		}
		if sectors != 0 {
			return e, fmt.Errorf("entry %d is a mark with %d sectors of data", index, sectors)
		}
		e.Text = strings.TrimRight(string(b[entryBytes:entryBytes+length]), "\x00")
	}
	return e, nil
}
