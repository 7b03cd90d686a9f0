package disk

import (
	"fmt"
	"os"
	"slices"
	"strconv"
)

// writeOut is how many bytes of a log are gathered before they go to its file.
// A system call for every entry would cost more than all else the engine does.
const writeOut = 256 << 10

// appender writes a log. Its file is never synced, and lags behind: it is the
// image, not the log, that holds what is durable when this process dies. Where
// the image alone is not enough, intent says how to finish it from the log.
type appender struct {
	f     *os.File
	epoch uint64 // of this use of the file
	next  uint64 // index of the next entry
	end   int64  // bytes of the log
	tail  []byte // of the log, not yet in the file
}

// openAppender opens a log file, which is made if missing, to be restarted.
func openAppender(path string) (*appender, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	a := &appender{f: f}
	b := make([]byte, SectorSize)
	if _, err := f.ReadAt(b, 0); err == nil {
		a.epoch, _, _ = stamp(b)
	}
	return a, nil
}

// restart begins a new log in the file, in place: the pages that an earlier
// use has left in the host's cache are written again instead of new ones. The
// superblock with the new epoch is the instant at which the old log ends.
func (a *appender) restart(epoch uint64) error {
	b := make([]byte, SectorSize)
	putSuper(b, 0, epoch)
	if _, err := a.f.WriteAt(b, 0); err != nil {
		return fmt.Errorf("restart the write log: %w", err)
	}
	a.epoch, a.next, a.end, a.tail = epoch, 0, SectorSize, a.tail[:0]
	return a.mark(markFormat)
}

// sync brings the file up to date, with the superblock's count of entries.
func (a *appender) sync() error {
	if err := a.write(); err != nil {
		return err
	}
	b := make([]byte, SectorSize)
	putSuper(b, a.next, a.epoch)
	if _, err := a.f.WriteAt(b, 0); err != nil {
		return fmt.Errorf("write the write log's superblock: %w", err)
	}
	return nil
}

func (a *appender) write() error {
	if len(a.tail) == 0 {
		return nil
	}
	if _, err := a.f.WriteAt(a.tail, a.end-int64(len(a.tail))); err != nil {
		return fmt.Errorf("append to the write log: %w", err)
	}
	a.tail = a.tail[:0]
	return nil
}

// append logs an entry with its data and returns it with its place. After an
// error it is not in the log.
func (a *appender) append(e Entry, data []byte) (Entry, error) {
	if len(a.tail) >= writeOut {
		if err := a.write(); err != nil {
			return e, err
		}
	}
	e.Index, e.Offset = a.next, a.end+SectorSize
	n := len(a.tail)
	a.tail = slices.Grow(a.tail, SectorSize+len(data))[:n+SectorSize]
	putEntry(a.tail[n:], e, a.epoch)
	a.tail = append(a.tail, data...)
	a.next++
	a.end = e.Offset + int64(len(data))
	return e, nil
}

func (a *appender) mark(text string) error {
	if len(text) > maxMark {
		text = text[:maxMark]
	}
	_, err := a.append(Entry{Flags: FlagMark, Text: text}, nil)
	return err
}

// flushEnd logs that the flush whose entry has the index flush completed.
func (a *appender) flushEnd(flush uint64) error {
	return a.mark(markFlushEnd + strconv.FormatUint(a.next-flush, 10))
}

// intent notes what is about to be done to the image in more than one step. As
// long as it is the last entry in the file, the next process does it again.
func (a *appender) intent(text string) error {
	if err := a.mark(text); err != nil {
		return err
	}
	return a.sync()
}

// ReadAt reads the log, whether it is in the file yet or not.
func (a *appender) ReadAt(p []byte, off int64) (int, error) {
	inFile := a.end - int64(len(a.tail))
	n := 0
	if off < inFile {
		var err error
		if n, err = a.f.ReadAt(p[:min(int64(len(p)), inFile-off)], off); err != nil {
			return n, err
		}
	}
	if n < len(p) && off+int64(n) <= a.end {
		n += copy(p[n:], a.tail[off+int64(n)-inFile:])
	}
	if n < len(p) {
		return n, fmt.Errorf("read %d bytes at %d of a write log of %d: it ends there", len(p), off, a.end)
	}
	return n, nil
}
