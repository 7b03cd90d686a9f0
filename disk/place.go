package disk

import "slices"

// Extent is a run of a file that lies in one piece on the disk, in bytes.
type Extent struct {
	File   int64 `json:"file"` // where it begins in the file
	Disk   int64 `json:"disk"` // and on the disk
	Length int64 `json:"length"`
}

// Place says where the file that faults and triggers know by that name lies now.
// Whoever mounted the file system knows; one that moves or grows is placed again.
// Counts go on over that.
func (e *Engine) Place(file string, extents []Extent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.places == nil {
		e.places = map[string][]Extent{}
	}
	e.places[file] = slices.Clone(extents)
}

// spans is where on the disk the range of a fault lies.
func (e *Engine) spans(f *Fault) []span {
	if f.File == "" {
		to := e.size
		if f.Length > 0 {
			to = min(to, f.Offset+f.Length)
		}
		return []span{{f.Offset, to}}
	}
	var out []span
	for _, x := range e.places[f.File] {
		from, to := max(x.File, f.Offset), x.File+x.Length
		if f.Length > 0 {
			to = min(to, f.Offset+f.Length)
		}
		if from < to {
			out = append(out, span{x.Disk + from - x.File, x.Disk + to - x.File})
		}
	}
	return out
}

// meets says whether an operation is one that the fault is about, its times and
// numbers apart. A flush is where the writes are that it would cover.
func (e *Engine) meets(f *Fault, op Operation, off, n int64) bool {
	if f.Op != op {
		return false
	}
	if op == OpFlush && f.File == "" {
		return true
	}
	spans := e.spans(f)
	in := func(from, to int64) bool {
		return slices.ContainsFunc(spans, func(s span) bool { return from < s.to && to > s.from })
	}
	if op != OpFlush {
		return in(off, off+n)
	}
	return slices.ContainsFunc(e.pending, func(p Entry) bool {
		return p.Flags&FlagFUA == 0 && in(int64(p.Sector)*SectorSize, int64(p.Sector+p.Sectors)*SectorSize)
	})
}
