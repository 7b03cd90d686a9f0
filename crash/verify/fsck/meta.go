package fsck

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
)

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

// metas gives the meta that bbolt would use.
func (w *walker) metas() (best meta, ok bool) {
	first := make([]byte, pageHead+metaSize)
	n, err := w.f.r.ReadAt(first, 0)
	if err != nil && n == 0 {
		w.problem("meta", 0, 0, "the file holds no page: %v", err)
		return best, false
	}
	m0, ok0, bad0 := parseMeta(first[:n], 0)
	size := int64(m0.pageSize)
	var m1 meta
	var ok1 bool
	var bad1 *damage
	second := make([]byte, pageHead+metaSize)
	// Without the first the page size must be found out.
	sizes := []int64{4096, 1024, 2048, 8192, 16384, 32768, 65536}
	if ok0 {
		sizes = []int64{size}
	}
	for _, s := range sizes {
		n, _ := w.f.r.ReadAt(second, s) // what cannot be read is no meta page
		m1, ok1, bad1 = parseMeta(second[:n], 1)
		if ok1 && int64(m1.pageSize) != s {
			ok1, bad1 = false, damaged(pageHead+8, "its page size is %d, and it is at byte %d", m1.pageSize, s)
		}
		if size = s; ok1 {
			break
		}
	}
	if !ok0 && !ok1 {
		size = sizes[0]
	}
	w.meta(0, size, bad0, ok0, ok1, m1)
	w.meta(1, size, bad1, ok1, ok0, m0)
	switch {
	case ok0 && (!ok1 || m0.txid > m1.txid):
		return m0, true
	case ok1:
		return m1, true
	}
	return best, false
}

func (w *walker) meta(number uint64, size int64, bad *damage, usable, otherUsable bool, other meta) {
	if bad == nil {
		return
	}
	then := "the other meta page is damaged too, so nothing leads to the data any more"
	switch {
	case usable:
		then = "bbolt does not look there and still uses it"
	case otherUsable:
		then = fmt.Sprintf("bbolt uses the other meta page, of transaction %d, instead: if the damaged one was newer, one transaction older", other.txid)
	}
	w.problem("meta", number, int64(number)*size+bad.at, "meta page %d is damaged: %s; %s", number, bad.message, then)
}
