package fsck

import (
	"encoding/binary"
	"errors"
)

// freelist checks one that was written, as etcd does not on Linux: no page that
// it gives away may be in use.
func (w *walker) freelist(id uint64) {
	p, _, err := w.f.page(id, nil)
	if err == nil && p.flags != flagFreelist {
		err = damaged(8, "its flags %#x are not those of a freelist", p.flags)
	}
	if err == nil {
		err = w.once(&p)
	}
	if err != nil {
		if p.off == 0 {
			p.id, p.off = id, int64(id&(1<<40-1))*w.f.pageSize
		}
		w.freeBad(&p, err)
		return
	}
	at, n := int64(pageHead), uint64(p.count)
	if n == 0xffff && len(p.b) >= pageHead+8 {
		n = binary.LittleEndian.Uint64(p.b[at:])
		at += 8
	}
	if n > uint64(int64(len(p.b))-at)/8 {
		w.freeBad(&p, damaged(10, "its %d entries reach beyond it", n))
		return
	}
	for range n {
		free := binary.LittleEndian.Uint64(p.b[at:])
		if free < 2 || free >= w.f.high || w.seen[free/64]&(1<<(free%64)) != 0 {
			w.freeBad(&p, damaged(at, "it gives page %d away, which is in use or none", free))
			return
		}
		at += 8
	}
}

func (w *walker) freeBad(p *page, err error) {
	var d *damage
	if errors.As(err, &d) {
		w.problem("freelist", p.id, p.off+d.at, "the freelist, page %d, is damaged: %s", p.id, d.message)
		return
	}
	w.err = errors.Join(w.err, err)
}
