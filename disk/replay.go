package disk

import (
	"fmt"
	"io"
	"math/rand/v2"
)

// Target is what a crash state is written to: an image that already holds what
// the disk held before the first entry of the log.
type Target interface {
	io.ReaderAt
	io.WriterAt
	// ZeroAt makes n bytes at off read zero.
	ZeroAt(off, n int64) error
}

// Replay brings base to the crash state f(log, cut position, policy, seed) of
// a disk of the named profile: everything before the cut that is durable, and
// of the rest what the policy chooses. size is that of base, in bytes.
func Replay(l *Log, base Target, size int64, cut uint64, policy Policy, seed uint64, profileName string) (Choice, error) {
	entries := l.upTo(cut)
	for _, e := range entries {
		if e.Writes() && e.Sector+e.Sectors > uint64(size)/SectorSize {
			return Choice{}, fmt.Errorf("replay the write log: entry %d is at sector %d with %d sectors, the image has %d bytes: it is of another disk",
				e.Index, e.Sector, e.Sectors, size)
		}
	}
	pieces, c, err := Choose(l.Uncovered(cut), policy, seed, profileName)
	if err != nil {
		return c, err
	}
	durable := uint64(covered(entries, l.EndMarks))
	if err := apply(base, l.r, entries, durable, pieces); err != nil {
		return c, fmt.Errorf("replay the write log: %w", err)
	}
	if p, _ := findProfile(profileName); p.bitrot {
		if c.Rotted, err = rot(base, size, seed); err != nil {
			return c, fmt.Errorf("replay the write log: %w", err)
		}
	}
	return c, nil
}

// apply writes entries in log order: those before the index durable and FUA
// ones whole, of others the pieces. The order makes a durable write win over
// an earlier one that survived by luck.
func apply(t Target, data io.ReaderAt, entries []Entry, durable uint64, pieces []Piece) error {
	var buf []byte
	for _, e := range entries {
		if !e.Writes() {
			continue
		}
		if e.Index < durable || e.Flags&FlagFUA != 0 {
			if err := applyPiece(t, data, Piece{Entry: e, To: e.Sectors}, &buf); err != nil {
				return err
			}
			continue
		}
		for len(pieces) > 0 && pieces[0].Entry.Index == e.Index {
			if err := applyPiece(t, data, pieces[0], &buf); err != nil {
				return err
			}
			pieces = pieces[1:]
		}
	}
	return nil
}

// chunk bounds the memory for the data of one piece.
const chunk = 1 << 20

func applyPiece(t Target, data io.ReaderAt, p Piece, buf *[]byte) error {
	off, n := int64(p.Entry.Sector+p.From)*SectorSize, int64(p.To-p.From)*SectorSize
	if p.Entry.Flags&FlagDiscard != 0 && p.Garbage == 0 {
		if err := t.ZeroAt(off, n); err != nil {
			return fmt.Errorf("zero %d bytes at %d for log entry %d: %w", n, off, p.Entry.Index, err)
		}
		return nil
	}
	if *buf == nil {
		*buf = make([]byte, chunk)
	}
	noise := rand.New(rand.NewPCG(p.Garbage, p.Entry.Index))
	for done := int64(0); done < n; {
		b := (*buf)[:min(n-done, chunk)]
		if p.Garbage != 0 {
			for i := range b {
				b[i] = byte(noise.Uint32())
			}
		} else if err := readData(data, p.Entry, b, int64(p.From)*SectorSize+done); err != nil {
			return err
		}
		if _, err := t.WriteAt(b, off+done); err != nil {
			return fmt.Errorf("write %d bytes at %d for log entry %d: %w", len(b), off+done, p.Entry.Index, err)
		}
		done += int64(len(b))
	}
	return nil
}

// rotTries bounds the search for a sector with contents.
const rotTries = 1 << 16

// rot flips one bit at rest, drawn from the seed, and returns its byte. It
// tries sectors until one is not all zero: in a zero one nobody would look.
func rot(t Target, size int64, seed uint64) (int64, error) {
	r := rand.New(rand.NewPCG(seed, 0x726f74)) // "rot"
	var b [SectorSize]byte
	for range rotTries {
		off := r.Int64N(size/SectorSize) * SectorSize
		if _, err := t.ReadAt(b[:], off); err != nil {
			return 0, fmt.Errorf("flip a bit at %d: %w", off, err)
		}
		if allZero(b[:]) {
			continue
		}
		bit := r.Int64N(SectorSize * 8)
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := t.WriteAt(b[:], off); err != nil {
			return 0, fmt.Errorf("flip a bit at %d: %w", off, err)
		}
		return off + bit/8, nil
	}
	return 0, nil
}
