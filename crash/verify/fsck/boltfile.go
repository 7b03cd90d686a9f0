package fsck

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
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

// meta is a meta page's content.
type meta struct {
	pageSize uint32
	root     uint64
	freelist uint64
	high     uint64
	txid     uint64
}

// parseMeta reads the meta page of a number, 0 or 1. A meta whose content holds
// is given even where its page's header is damaged: bbolt does not look there.
func parseMeta(b []byte, number uint64) (m meta, usable bool, bad *damage) {
	if len(b) < pageHead+metaSize {
		return m, false, damaged(0, "it is cut off after %d bytes", len(b))
	}
	le := binary.LittleEndian
	c := b[pageHead:]
	sum := fnv.New64a()
	_, _ = sum.Write(c[:metaSize-8])
	switch {
	case le.Uint32(c) != metaMagic:
		return m, false, damaged(pageHead, "its magic number is %08x and not %08x", le.Uint32(c), uint32(metaMagic))
	case le.Uint32(c[4:]) != metaVersion:
		return m, false, damaged(pageHead+4, "it is of the format version %d and not %d", le.Uint32(c[4:]), metaVersion)
	case sum.Sum64() != le.Uint64(c[metaSize-8:]):
		return m, false, damaged(pageHead, "its checksum does not match")
	}
	m = meta{le.Uint32(c[8:]), le.Uint64(c[16:]), le.Uint64(c[32:]), le.Uint64(c[40:]), le.Uint64(c[48:])}
	switch {
	case m.pageSize < 512 || m.pageSize > 1<<20 || m.pageSize&(m.pageSize-1) != 0:
		return m, false, damaged(pageHead+8, "its page size is %d", m.pageSize)
	case m.root < 2 || m.root >= m.high:
		return m, false, damaged(pageHead+16, "its root is page %d of %d", m.root, m.high)
	case le.Uint64(b) != number || m.txid%2 != number:
		bad = damaged(0, "it says that it is page %d, of transaction %d", le.Uint64(b), m.txid)
	case le.Uint16(b[8:]) != flagMeta:
		bad = damaged(8, "its flags %#x are not those of a meta page", le.Uint16(b[8:]))
	case le.Uint16(b[10:]) != 0 || le.Uint32(b[12:]) != 0:
		bad = damaged(10, "its header counts %d elements and %d overflow pages, where a meta page has none", le.Uint16(b[10:]), le.Uint32(b[12:]))
	}
	return m, true, bad
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
