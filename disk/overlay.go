package disk

import (
	"io"
	"slices"
)

const (
	overlayBlock  = 4096
	blockSectors  = overlayBlock / SectorSize
	leafBlocks    = 512
	wholeBlock    = 1<<blockSectors - 1
	overlayMemory = 64 << 20 // bytes of data kept; what is beyond is in the log
	rangeBytes    = 1 << 20  // zeroed ranges from here on are kept as ranges
	zeroes        = -1       // the offset of a sector that reads zero
)

// block is what the volatile cache holds of one block of the disk.
type block struct {
	number int64
	mask   uint8               // sectors held
	at     [blockSectors]int64 // where in the log, or zeroes
	data   *[overlayBlock]byte // the same, unless memory ran out
}

type span struct{ from, to int64 } // bytes

// overlay is the volatile cache: the newest contents of every sector that has
// been written and is not yet in the image. A two-level table instead of a map
// keeps the cost of a small write far below that of the system calls.
type overlay struct {
	leaves []*[leafBlocks]*block
	dirty  []*block // every block in the table
	zeroed []span   // long zeroed ranges, older than any block inside
	free   []*block
	memory int64
	join   []byte
}

func newOverlay(size int64) *overlay {
	blocks := (size + overlayBlock - 1) / overlayBlock
	return &overlay{leaves: make([]*[leafBlocks]*block, (blocks+leafBlocks-1)/leafBlocks)}
}

func (o *overlay) empty() bool { return len(o.dirty) == 0 && len(o.zeroed) == 0 }

func (o *overlay) get(number int64) *block {
	leaf := o.leaves[number/leafBlocks]
	if leaf == nil {
		return nil
	}
	return leaf[number%leafBlocks]
}

func (o *overlay) getOrAdd(number int64) *block {
	leaf := o.leaves[number/leafBlocks]
	if leaf == nil {
		leaf = new([leafBlocks]*block)
		o.leaves[number/leafBlocks] = leaf
	}
	b := leaf[number%leafBlocks]
	if b != nil {
		return b
	}
	if n := len(o.free); n > 0 {
		b, o.free = o.free[n-1], o.free[:n-1]
	} else {
		b = new(block)
	}
	if b.data == nil && o.memory < overlayMemory {
		b.data = new([overlayBlock]byte)
		o.memory += overlayBlock
	}
	b.number, b.mask = number, 0
	leaf[number%leafBlocks] = b
	o.dirty = append(o.dirty, b)
	return b
}

// write notes p, logged at logOff, as the contents at off. Both are whole
// sectors.
func (o *overlay) write(p []byte, off, logOff int64) {
	for len(p) > 0 {
		b := o.getOrAdd(off / overlayBlock)
		in := off % overlayBlock
		n := min(int64(len(p)), overlayBlock-in)
		if b.data != nil {
			copy(b.data[in:], p[:n])
		}
		for s := in / SectorSize; s < (in+n)/SectorSize; s++ {
			b.mask |= 1 << s
			b.at[s] = logOff + s*SectorSize - in
		}
		p, off, logOff = p[n:], off+n, logOff+n
	}
}

// zero notes that n bytes at off read zero.
func (o *overlay) zero(off, n int64) {
	if n >= rangeBytes {
		for _, b := range o.dirty {
			for s := int64(0); s < blockSectors; s++ {
				if at := b.number*overlayBlock + s*SectorSize; at >= off && at < off+n {
					b.mask &^= 1 << s
				}
			}
		}
		o.zeroed = append(o.zeroed, span{off, off + n})
		return
	}
	for end := off + n; off < end; off += SectorSize {
		b := o.getOrAdd(off / overlayBlock)
		s := off % overlayBlock / SectorSize
		b.mask |= 1 << s
		b.at[s] = zeroes
		if b.data != nil {
			clear(b.data[s*SectorSize : (s+1)*SectorSize])
		}
	}
}

// read fills p with what is held of the sectors from off and returns the runs
// of them that the image has to give.
func (o *overlay) read(p []byte, off int64, log io.ReaderAt, missing []span) ([]span, error) {
	for i := int64(0); i < int64(len(p)); i += SectorSize {
		at := off + i
		out := p[i : i+SectorSize]
		b, s := o.get(at/overlayBlock), at%overlayBlock/SectorSize
		switch {
		case b != nil && b.mask&(1<<s) != 0:
			if err := b.sector(s, out, log); err != nil {
				return nil, err
			}
		case o.inZeroed(at):
			clear(out)
		case len(missing) > 0 && missing[len(missing)-1].to == at:
			missing[len(missing)-1].to += SectorSize
		default:
			missing = append(missing, span{at, at + SectorSize})
		}
	}
	return missing, nil
}

func (b *block) sector(s int64, out []byte, log io.ReaderAt) error {
	switch {
	case b.data != nil:
		copy(out, b.data[s*SectorSize:])
	case b.at[s] == zeroes:
		clear(out)
	default:
		if n, err := log.ReadAt(out, b.at[s]); n < len(out) {
			return err
		}
	}
	return nil
}

func (o *overlay) inZeroed(at int64) bool {
	for _, z := range o.zeroed {
		if at >= z.from && at < z.to {
			return true
		}
	}
	return false
}

// applyTo writes everything held to the image. Neighbours go in one write.
func (o *overlay) applyTo(t Target, log io.ReaderAt) error {
	for _, z := range o.zeroed {
		if err := t.ZeroAt(z.from, z.to-z.from); err != nil {
			return err
		}
	}
	if len(o.dirty) > 1 {
		slices.SortFunc(o.dirty, func(a, b *block) int { return int(a.number - b.number) })
	}
	start, end := int64(0), int64(0)
	put := func() error {
		if start == end {
			return nil
		}
		_, err := t.WriteAt(o.join[:end-start], start)
		return err
	}
	for _, b := range o.dirty {
		for s := int64(0); s < blockSectors; s++ {
			if b.mask&(1<<s) == 0 {
				continue
			}
			at := b.number*overlayBlock + s*SectorSize
			if at != end || end-start >= chunk {
				if err := put(); err != nil {
					return err
				}
				start, end = at, at
			}
			n := int64(SectorSize)
			if s == 0 && b.mask == wholeBlock && b.data != nil {
				n, s = overlayBlock, blockSectors-1
			}
			o.join = slices.Grow(o.join[:end-start], int(n))[:end-start+n]
			out := o.join[end-start:]
			if n == overlayBlock {
				copy(out, b.data[:])
			} else if err := b.sector(s, out, log); err != nil {
				return err
			}
			end += n
		}
	}
	return put()
}

// reset forgets everything held.
func (o *overlay) reset() {
	for _, b := range o.dirty {
		o.leaves[b.number/leafBlocks][b.number%leafBlocks] = nil
		o.free = append(o.free, b)
	}
	clear(o.dirty)
	o.dirty, o.zeroed = o.dirty[:0], o.zeroed[:0]
}
