package disk

import (
	"fmt"
	"syscall"
)

// check fails on a range that is not whole sectors of the disk. It is an
// EINVAL.
func (e *Engine) check(op string, off, n int64) error {
	if off < 0 || n < 0 || off%SectorSize != 0 || n%SectorSize != 0 || off > e.size || n > e.size-off {
		return fmt.Errorf("%s %d bytes at %d of a disk of %d: not whole sectors of %d bytes on the disk: %w",
			op, n, off, e.size, SectorSize, syscall.EINVAL)
	}
	return nil
}

// ReadAt reads whole sectors: what was written last, durable or not. A disk
// without power still answers, so that its file system can be unmounted.
func (e *Engine) ReadAt(p []byte, off int64) (n int, err error) {
	defer func() { e.broke(err) }()
	if err := e.check("read", off, int64(len(p))); err != nil {
		return 0, err
	}
	var room [4]span
	missing := room[:0]
	e.mu.Lock()
	var hit *blow
	if e.powered {
		if hit, err = e.meet(OpRead, off, int64(len(p)), true); err != nil {
			e.mu.Unlock()
			return 0, err
		}
	}
	if hit != nil {
		if err = e.lied(hit, off, int64(len(p)), " with a bit flipped"); err != nil {
			e.mu.Unlock()
			return 0, err
		}
	}
	e.stats.Reads++
	e.stats.BytesRead += uint64(len(p))
	if e.cache.empty() {
		missing = append(missing, span{off, off + int64(len(p))})
	} else {
		missing, err = e.cache.read(p, off, e.log(), missing)
	}
	file := e.image.File
	e.mu.Unlock()
	if err != nil {
		return 0, fmt.Errorf("read %d bytes at %d from the cache: %w", len(p), off, err)
	}
	// Without the lock: a write that completes meanwhile may or may not be
	// seen, as with any two requests that are in flight together.
	for _, m := range missing {
		if n, err := file.ReadAt(p[m.from-off:m.to-off], m.from); int64(n) < m.to-m.from {
			return 0, fmt.Errorf("read %d bytes at %d from the image: %w", m.to-m.from, m.from, err)
		}
	}
	if hit != nil {
		hit.flip(p)
	}
	return len(p), nil
}

// WriteAt writes whole sectors to the cache and the log.
func (e *Engine) WriteAt(p []byte, off int64) (int, error) { return e.write(p, off, false) }

// WriteFUA writes whole sectors that are durable when it returns. A disk that
// lies about flushes lies about this, too.
func (e *Engine) WriteFUA(p []byte, off int64) (int, error) { return e.write(p, off, true) }

func (e *Engine) write(p []byte, off int64, fua bool) (n int, err error) {
	defer func() { e.broke(err) }()
	if err := e.check("write", off, int64(len(p))); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.powered {
		return len(p), nil
	}
	hit, err := e.meet(OpWrite, off, int64(len(p)), true)
	switch {
	case err != nil:
		return 0, err
	case !e.powered: // cut while it waited
		return len(p), nil
	case hit != nil:
		err = e.writeWrong(hit, p, off, fua)
	default:
		err = e.put(p, off, fua)
	}
	if err != nil {
		return 0, fmt.Errorf("write %d bytes at %d: %w", len(p), off, err)
	}
	return len(p), nil
}

// put logs a write and does it.
func (e *Engine) put(p []byte, off int64, fua bool) error {
	entry, err := e.record(off, int64(len(p)), p, fua, 0)
	if err != nil {
		return err
	}
	e.stats.Writes++
	e.stats.BytesWritten += uint64(len(p))
	if entry.Flags&FlagFUA != 0 {
		if _, err := e.image.WriteAt(p, off); err != nil {
			return err
		}
	}
	if len(e.pending) == 0 {
		return e.foldIfLong()
	}
	e.cache.write(p, off, entry.Offset)
	return nil
}

// Discard makes n bytes at off read zero. It is volatile until a flush, as a
// write is.
func (e *Engine) Discard(off, n int64) error { return e.zero("discard", off, n) }

// WriteZeroes writes zeroes. The log has no entry of its own for it: a discard
// says the same, as discarded sectors of this disk read zero.
func (e *Engine) WriteZeroes(off, n int64) error { return e.zero("zero", off, n) }

func (e *Engine) zero(what string, off, n int64) (err error) {
	defer func() { e.broke(err) }()
	if err := e.check(what, off, n); err != nil {
		return err
	}
	if n == 0 {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.powered {
		return nil
	}
	hit, err := e.meet(OpWrite, off, n, false)
	if err != nil || !e.powered {
		return err
	}
	if hit != nil { // lost: what else can go wrong needs data
		return e.lied(hit, off, n, "")
	}
	entry, err := e.record(off, n, nil, false, FlagDiscard)
	if err != nil {
		return fmt.Errorf("%s %d bytes at %d: %w", what, n, off, err)
	}
	e.stats.Discards++
	if entry.Flags&FlagFUA != 0 {
		if err := e.image.ZeroAt(off, n); err != nil {
			return fmt.Errorf("%s %d bytes at %d: %w", what, n, off, err)
		}
	}
	if len(e.pending) == 0 {
		return e.foldIfLong()
	}
	e.cache.zero(off, n)
	return nil
}

// record logs a change and notes it as pending. A durable change has to be
// remembered only after one that is not: until that one is covered, its place
// in the order counts.
func (e *Engine) record(off, n int64, data []byte, fua bool, flags Flags) (Entry, error) {
	if fua && !e.profile.lies || e.profile.noCache {
		flags |= FlagFUA
	}
	entry, err := e.log().append(Entry{
		Sector: uint64(off / SectorSize), Sectors: uint64(n / SectorSize), Flags: flags,
	}, data)
	if err != nil {
		return entry, err
	}
	e.life.writes++
	if flags&FlagFUA == 0 {
		e.uncovered++
	} else if len(e.pending) == 0 {
		return entry, nil
	}
	e.pending = append(e.pending, entry)
	return entry, nil
}

// Mark notes text in the log: up to 456 bytes, what is beyond is cut off.
func (e *Engine) Mark(text string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.powered {
		return fmt.Errorf("mark the write log: %w", ErrNoPower)
	}
	if err := e.log().mark(text); err != nil {
		return err
	}
	return e.log().sync()
}
