package fsck

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

const (
	maxDepth = 64 // of pages; 2^64 keys of two to a page
	maxEach  = 20 // problems of one kind
)

// visit is called with every key and value of a bucket that holds no buckets,
// and where in the file the key is.
type visit func(bucket string, k, v []byte, page uint64, off int64)

// walker goes through all pages that the newest usable meta page leads to.
type walker struct {
	f     boltFile
	name  string // of the file, in problems
	visit visit
	seen  []uint64        // a bit for each page
	bufs  [][]byte        // by depth
	lost  map[string]bool // buckets with pages that could not be read
	names []string        // of the root bucket's
	found func(datadir.Problem)
	err   error // of reading, not of what was read
}

func (w *walker) problem(kind string, page uint64, off int64, format string, args ...any) {
	w.found(datadir.Problem{File: w.name, Kind: kind, Page: &page, Offset: &off, Message: fmt.Sprintf(format, args...)})
}

// walk reads the whole file. The error is about reading it; damage is a problem.
// It gives false when no meta page is usable.
func (w *walker) walk(file io.ReaderAt, size int64) (bool, error) {
	w.f = boltFile{r: file, size: size}
	w.lost = make(map[string]bool)
	m, ok := w.metas()
	if w.err != nil || !ok {
		return false, w.err
	}
	w.f.pageSize, w.f.high = int64(m.pageSize), m.high
	if pages := uint64(w.f.size / w.f.pageSize); m.high > pages {
		w.problem("size", m.txid%2, int64(m.txid%2)*w.f.pageSize, "the file has %d whole pages, but its meta page counts %d: its end is cut off", pages, m.high)
		w.f.high = pages
	}
	w.seen = make([]uint64, w.f.high/64+1)
	w.tree(m.root, "", nil, nil, 0, nil)
	if m.freelist != noFreelist {
		w.freelist(m.freelist)
	}
	return true, w.err
}

// kind names the page for people.
func (p *page) kind() string {
	switch p.flags {
	case flagBranch:
		return "branch"
	case flagLeaf:
		return "leaf"
	}
	return "page"
}

// origin is the element that led to a page.
type origin struct {
	p  *page
	at int64 // byte of p
}

func (o *origin) String() string {
	return fmt.Sprintf("%s page %d leads there from its byte %d, file byte %d", o.p.kind(), o.p.id, o.at, o.p.off+o.at)
}

// bad reports a damaged page, whose keys are then lost.
func (w *walker) bad(p *page, bucket string, err error) {
	var d *damage
	if !errors.As(err, &d) {
		w.err = errors.Join(w.err, err)
		return
	}
	w.lost[bucket] = true
	in := "the root bucket"
	if bucket != "" {
		in = "bucket " + bucket
	}
	w.problem(p.kind(), p.id, p.off+d.at, "%s page %d of %s is damaged: %s", p.kind(), p.id, in, d.message)
}

// tree reads a page and what it leads to. Its keys are at least lo and below hi,
// where these are set.
func (w *walker) tree(id uint64, bucket string, lo, hi []byte, depth int, from *origin) {
	if depth == len(w.bufs) {
		w.bufs = append(w.bufs, nil)
	}
	if from != nil && (id < 2 || id >= w.f.high) {
		w.bad(from.p, bucket, damaged(from.at, "it leads to page %d, which is not between 2 and %d", id, w.f.high))
		return
	}
	p, buf, err := w.f.page(id, w.bufs[depth])
	w.bufs[depth] = buf
	if err == nil {
		if err = w.once(&p); err != nil && from != nil {
			w.bad(from.p, bucket, damaged(from.at, "it leads to page %d: %v", id, err))
			return
		}
	}
	switch {
	case err == nil && p.flags == flagFreelist:
		err = damaged(8, "it is a freelist, where keys belong")
	case err == nil && depth > maxDepth:
		err = damaged(0, "it is %d levels deep", depth)
	}
	if err != nil {
		if p.off == 0 { // the number itself led nowhere
			p.id, p.off = id, int64(id&(1<<40-1))*w.f.pageSize
		}
		w.bad(&p, bucket, from.told(err))
		return
	}
	w.node(&p, bucket, lo, hi, depth, from)
}

// told adds to damage who leads to it: it may be that which is damaged.
func (o *origin) told(err error) error {
	var d *damage
	if o == nil || !errors.As(err, &d) {
		return err
	}
	return damaged(d.at, "%s; %v", d.message, o)
}

// once marks a page and its overflow as reached.
func (w *walker) once(p *page) error {
	for id := p.id; id < p.id+uint64(len(p.b))/uint64(w.f.pageSize); id++ {
		if w.seen[id/64]&(1<<(id%64)) != 0 {
			return damaged(0, "page %d is reached twice", id)
		}
		w.seen[id/64] |= 1 << (id % 64)
	}
	return nil
}

// node checks a page's elements and goes on below them.
func (w *walker) node(p *page, bucket string, lo, hi []byte, depth int, from *origin) {
	els, bad := p.elements()
	if bad == nil {
		bad = ordered(p, els, lo, hi)
	}
	if bad == nil && p.flags == flagBranch {
		bad = branchKeys(els, bucket)
	}
	if bad != nil {
		w.bad(p, bucket, from.told(bad))
		return
	}
	for i := range els {
		e := &els[i]
		switch {
		case p.flags == flagBranch:
			next := hi
			if i+1 < len(els) {
				next = els[i+1].key
			}
			w.tree(e.child, bucket, e.key, next, depth+1, &origin{p, pageHead + int64(i)*elementSize + 8})
		case e.flags == bucketFlag:
			w.bucket(p, e, bucket, depth)
		case bucket == "":
			w.bad(p, bucket, damaged(e.at, "%q is a key of the root bucket, which holds buckets only", e.key[:min(len(e.key), 32)]))
		default:
			w.visit(bucket, e.key, e.value, p.id, p.off+e.at)
		}
		if w.err != nil {
			return
		}
	}
}

func ordered(p *page, els []element, lo, hi []byte) *damage {
	if p.flags == flagBranch && len(els) == 0 {
		return damaged(10, "it is a branch that leads nowhere")
	}
	for i := range els {
		k := els[i].key
		switch {
		case i == 0 && bytes.Compare(k, lo) < 0:
			return damaged(els[i].at, "its first key %x is below %x, by which its parent names it", head(k), head(lo))
		case i > 0 && bytes.Compare(els[i-1].key, k) >= 0:
			return damaged(els[i].at, "its keys are out of order: %x is followed by %x", head(els[i-1].key), head(k))
		case hi != nil && bytes.Compare(k, hi) >= 0:
			return damaged(els[i].at, "its key %x belongs to the page after it, which begins with %x", head(k), head(hi))
		}
	}
	return nil
}

// branchKeys checks what only etcd knows: keys of the key bucket are revisions.
func branchKeys(els []element, bucket string) *damage {
	for i := range els {
		if _, _, _, ok := datadir.ParseRevision(els[i].key); bucket == "key" && !ok {
			return damaged(els[i].at, "the key %x of its element %d is not a revision", head(els[i].key), i)
		}
	}
	return nil
}

func head(k []byte) []byte { return k[:min(len(k), 32)] }

// bucket reads a bucket inside another: a page of its own, or one in the value.
func (w *walker) bucket(p *page, e *element, parent string, depth int) {
	name := string(e.key)
	if parent != "" {
		w.bad(p, parent, damaged(e.at, "it holds the bucket %q; etcd has none in others", head(e.key)))
		return
	}
	w.names = append(w.names, name)
	if len(e.value) < bucketHead {
		w.bad(p, name, damaged(e.at, "the bucket %q has a header of %d bytes", head(e.key), len(e.value)))
		return
	}
	if root := binary.LittleEndian.Uint64(e.value); root != 0 {
		w.tree(root, name, nil, nil, depth+1, &origin{p, e.at + int64(len(e.key))})
		return
	}
	at := p.off + e.at + int64(len(e.key)) + bucketHead
	in := page{id: p.id, off: at, flags: flagLeaf, b: e.value[bucketHead:]}
	if len(in.b) < pageHead {
		w.bad(&in, name, damaged(0, "the page inside the bucket's value is %d bytes long", len(in.b)))
		return
	}
	le := binary.LittleEndian
	if f, over := le.Uint16(in.b[8:]), le.Uint32(in.b[12:]); f != flagLeaf || over != 0 {
		w.bad(&in, name, damaged(8, "the page inside the bucket's value has the flags %#x and %d overflow pages", f, over))
		return
	}
	in.count = int(le.Uint16(in.b[10:]))
	w.node(&in, name, nil, nil, depth, nil)
}
