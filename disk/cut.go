package disk

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// leadBytes is how much of the log before the uncovered epoch WriteCutLog
// gives, if it is still there.
const leadBytes = 1 << 20

// Cut takes the disk's power. From here on writes, flushes and discards
// succeed and do nothing, so that the file system above can be unmounted
// quickly and quietly; reads still answer. A second cut returns what the first
// did.
func (e *Engine) Cut() CutRecord {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.powered {
		return e.life.cut
	}
	e.powered = false
	log := e.log()
	e.life.cut = CutRecord{
		Position:  e.life.folded + log.next,
		Writes:    e.life.writes,
		Flushes:   e.life.flushes,
		Held:      e.gate.held,
		Uncovered: e.uncovered,
		Lied:      e.life.lied,
	}
	// The mark and the count are for readers of the file. The cut itself
	// does not depend on them, so that it cannot fail.
	e.life.cutFrom, e.life.cutLog = e.cutStart(), e.current
	_ = log.mark(markCut)
	_ = log.sync()
	e.life.cutTo = log.end
	e.gate.open()
	e.free()
	return e.life.cut
}

// cutStart is where in the log the entries begin that WriteCutLog gives.
func (e *Engine) cutStart() int64 {
	at := e.log().end
	if len(e.pending) > 0 {
		at = e.pending[0].Offset - SectorSize
	}
	return max(SectorSize, at-leadBytes)
}

// Restore chooses the crash state from what was uncovered at the cut, brings
// the image to it, starts a new log and gives the disk power again.
func (e *Engine) Restore(policy Policy, seed uint64) (Choice, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := Choice{Policy: policy, Seed: seed, Uncovered: e.uncovered}
	if e.powered {
		return c, errors.New("restore the disk: it has power: cut it first")
	}
	if e.image.File == nil {
		return c, errors.New("restore the disk: it is closed: open it again")
	}
	lost := make([]Entry, 0, e.uncovered)
	for _, p := range e.pending {
		if p.Flags&FlagFUA == 0 {
			lost = append(lost, p)
		}
	}
	pieces, c, err := Choose(lost, policy, seed, e.profile.name)
	if err != nil {
		return c, fmt.Errorf("restore the disk: %w", err)
	}
	log := e.log()
	// If this process dies below, the next one finds the mark and finishes.
	if err := log.intent(markRestore + string(policy) + " " + strconv.FormatUint(seed, 10)); err != nil {
		return c, fmt.Errorf("restore the disk: %w", err)
	}
	if err := apply(e.image, log, e.pending, 0, pieces); err != nil {
		return c, fmt.Errorf("restore the disk: %w", err)
	}
	if e.profile.bitrot {
		if c.Rotted, err = rot(e.image, e.size, seed); err != nil {
			return c, fmt.Errorf("restore the disk: %w", err)
		}
	}
	// The log of the cut stays until the next one.
	e.current = 1 - e.current
	if err := e.powerOn(); err != nil {
		return c, fmt.Errorf("restore the disk: %w", err)
	}
	return c, nil
}

// WriteCutLog writes the part of the log that led to the last cut, in the
// format of dm-log-writes: all that no flush covered, up to 1 MiB of what was
// logged before it, and a mark "cut" at the end.
func (e *Engine) WriteCutLog(w io.Writer) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.life.cutTo == 0 {
		return errors.New("write the log of the last cut: there was none since the disk was opened")
	}
	log := e.logs[e.life.cutLog]
	l, err := OpenLog(log, e.life.cutTo)
	if err != nil {
		return fmt.Errorf("write the log of the last cut: %w", err)
	}
	first := slices.IndexFunc(l.Entries, func(x Entry) bool { return x.Offset-SectorSize >= e.life.cutFrom })
	tail := l.Entries[max(first, 1):]
	head := make([]byte, 2*SectorSize)
	putSuper(head, uint64(len(tail))+1, 0)
	putEntry(head[SectorSize:], Entry{Flags: FlagMark, Text: markFormat}, 0)
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("write the log of the last cut: %w", err)
	}
	from := tail[0].Offset - SectorSize
	if _, err := io.Copy(w, io.NewSectionReader(log, from, e.life.cutTo-from)); err != nil {
		return fmt.Errorf("write the log of the last cut: %w", err)
	}
	return nil
}
