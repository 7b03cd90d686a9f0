package fsck

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// bbolt's file format, little-endian on every machine that etcd supports:
// a page header of id, flags, count and overflow, then elements, then the keys
// and values that they point to, packed in order.
const (
	pageHead    = 16
	elementSize = 16 // of a branch and of a leaf element alike

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagMeta     = 0x04
	flagFreelist = 0x10

	metaSize    = 64 // without the page's header; the last 8 bytes are its checksum
	metaMagic   = 0xED0CDAED
	metaVersion = 2
	noFreelist  = ^uint64(0)
	bucketHead  = 16
	bucketFlag  = 1 // of a leaf element whose value is a bucket
)

// boltFile reads pages of a db file with pread: a mapping of a damaged file can
// fault, and nothing read here is trusted.
type boltFile struct {
	r        io.ReaderAt
	size     int64 // bytes
	pageSize int64
	high     uint64 // pages from this number on hold nothing
}

// page is one page with its overflow pages.
type page struct {
	id    uint64
	off   int64 // of its first byte in the file
	flags uint16
	count int
	b     []byte // header and all
}

// element is one of a branch or leaf page.
type element struct {
	at    int64 // byte of the page where the key begins
	flags uint32
	child uint64 // of a branch
	key   []byte
	value []byte // of a leaf
}

// damage is a finding at a byte of a page.
type damage struct {
	at      int64 // from the page's begin
	message string
}

func (d *damage) Error() string { return d.message }

func damaged(at int64, format string, args ...any) *damage {
	return &damage{at, fmt.Sprintf(format, args...)}
}

// page reads a page into buf, grown as needed.
func (f *boltFile) page(id uint64, buf []byte) (p page, _ []byte, err error) {
	if id < 2 || id >= f.high {
		return p, buf, damaged(0, "page %d is not between 2 and %d", id, f.high)
	}
	p.id, p.off = id, int64(id)*f.pageSize
	var head [pageHead]byte
	if err := f.readAt(head[:], p.off); err != nil {
		return p, buf, err
	}
	le := binary.LittleEndian
	p.flags, p.count = le.Uint16(head[8:]), int(le.Uint16(head[10:]))
	overflow := uint64(le.Uint32(head[12:]))
	switch {
	case le.Uint64(head[:]) != id:
		return p, buf, damaged(0, "it says that it is page %d", le.Uint64(head[:]))
	case p.flags != flagBranch && p.flags != flagLeaf && p.flags != flagFreelist:
		return p, buf, damaged(8, "its flags %#x are of no kind of page", p.flags)
	case overflow >= f.high-id:
		return p, buf, damaged(12, "its %d overflow pages reach beyond page %d", overflow, f.high)
	}
	n := int64(overflow+1) * f.pageSize
	if int64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	p.b = buf[:n]
	return p, buf, f.readAt(p.b, p.off)
}

func (f *boltFile) readAt(b []byte, off int64) error {
	_, err := f.r.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		return damaged(0, "the file ends before it does, at byte %d", f.size)
	}
	return err
}

// elements reads those of a branch or leaf page. bbolt packs keys and values in
// the order of their elements, without a gap, which any other is damage of.
func (p *page) elements() ([]element, *damage) {
	els := make([]element, p.count)
	next := int64(pageHead + p.count*elementSize)
	if next > int64(len(p.b)) {
		return nil, damaged(10, "its %d elements reach beyond it", p.count)
	}
	le := binary.LittleEndian
	for i := range els {
		e := &els[i]
		at := int64(pageHead + i*elementSize)
		b := p.b[at:]
		var pos, ksize, vsize int64
		if p.flags == flagBranch {
			pos, ksize, e.child = int64(le.Uint32(b)), int64(le.Uint32(b[4:])), le.Uint64(b[8:])
		} else {
			e.flags, pos, ksize, vsize = le.Uint32(b), int64(le.Uint32(b[4:])), int64(le.Uint32(b[8:])), int64(le.Uint32(b[12:]))
			if e.flags > bucketFlag {
				return nil, damaged(at, "element %d has the unknown flags %#x", i, e.flags)
			}
		}
		e.at = at + pos
		end := e.at + ksize + vsize
		switch {
		case e.at != next:
			return nil, damaged(at, "element %d points to byte %d of the page, where byte %d is next", i, e.at, next)
		case end > int64(len(p.b)):
			return nil, damaged(at, "element %d with a key of %d and a value of %d bytes reaches beyond the page", i, ksize, vsize)
		case ksize == 0:
			return nil, damaged(at, "element %d has no key", i)
		}
		e.key, e.value = p.b[e.at:e.at+ksize], p.b[e.at+ksize:end]
		next = end
	}
	return els, nil
}
