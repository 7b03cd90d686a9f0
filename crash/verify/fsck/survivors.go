package fsck

// survivors compares what a compaction left with the log. Records are missing
// there, so revisions cannot be counted down one by one; but a value that is in
// just one entry ties its revision to it, and where between two such ties there
// are exactly as many entries that may write as revisions, each wrote one.
type survivors struct {
	s       *store
	l       *raftLog
	entries []logEntry
	writers []int           // places in entries of those that may write
	holders map[content]int // the only entry that puts this, or -1: there are more
	copied  map[string]bool // keys whose values or leases puts have copied, which tie nothing
	tell    func(r *record, e *logEntry)
	matched int
	from    int64 // oldest revision that was compared
}

// content is what a put leaves.
type content struct {
	key   string
	value uint64
	lease int64
}

// run goes down from the entry at a place, which wrote the revision given.
func (v *survivors) run(place int, rev int64) {
	v.holders, v.copied = make(map[content]int), make(map[string]bool)
	for i := range v.entries[:place] {
		if o := v.entries[i].op; o != nil {
			v.writers = append(v.writers, i)
			o.eachPut(func(p *op) {
				if p.ignoreValue || p.ignoreLease {
					v.copied[p.key] = true
					return
				}
				c := content{p.key, p.value, p.lease}
				if _, known := v.holders[c]; known {
					v.holders[c] = -1
				} else {
					v.holders[c] = i
				}
			})
		}
	}
	above := len(v.writers) // as many writers are below the last tie
	records := v.s.records
	n := len(records)
	for n > 0 && records[n-1].main >= rev {
		n--
	}
	untied := n // records[n:untied] are between the last tie and here
	for n--; n >= 0; n-- {
		r := &records[n]
		at, tied := v.writer(r)
		if !tied || at >= above || int64(above-at-1) < rev-r.main-1 {
			continue
		}
		if int64(above-at-1) == rev-r.main-1 {
			v.window(records[n+1:untied], r.main, rev, above)
		}
		above, rev, untied = at, r.main, n
		v.matched, v.from = v.matched+1, r.main
	}
}

// writer gives the number, among the writers, of the one entry that can have
// left a record.
func (v *survivors) writer(r *record) (int, bool) {
	if r.tombstone || v.copied[v.s.keys[r.key]] {
		return 0, false
	}
	place, known := v.holders[content{v.s.keys[r.key], r.value, r.lease}]
	if !known || place < 0 {
		return 0, false
	}
	lo, hi := 0, len(v.writers)
	for lo < hi {
		if mid := (lo + hi) / 2; v.writers[mid] < place {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, true
}

// window compares records between two ties. A tie that is none shifts all of
// them, so one that differs is told only if its key does not, or alone of many.
func (v *survivors) window(records []record, after, rev int64, above int) {
	type difference struct {
		r *record
		e *logEntry
	}
	var near, far []difference
	compared := 0
	for i := range records {
		r := &records[i]
		if r.main <= after {
			continue
		}
		compared++
		e := &v.entries[v.writers[above-int(rev-r.main)]]
		switch fits, same := v.compare(r, e); {
		case fits:
		case same:
			near = append(near, difference{r, e})
		default:
			far = append(far, difference{r, e})
		}
	}
	v.matched += compared - len(near) - len(far)
	switch {
	case len(far) == 0 && len(near) > 0:
		for _, d := range near {
			v.tell(d.r, d.e)
		}
	case len(far) == 1 && len(near) == 0 && compared >= 4:
		v.tell(far[0].r, far[0].e)
	}
}

// compare checks a record against the entry that must have written it; near says
// that the entry did put that key.
func (v *survivors) compare(r *record, e *logEntry) (fits, near bool) {
	key := v.s.keys[r.key]
	if r.tombstone {
		return e.op.mayDelete(key), false
	}
	e.op.eachPut(func(p *op) {
		same := p.key == key
		near = near || same
		fits = fits || same && (p.ignoreValue || p.value == r.value) && (p.ignoreLease || p.lease == r.lease)
	})
	return fits, near
}

// eachPut calls f with every put of a request, in whatever branch.
func (o *op) eachPut(f func(*op)) {
	if o.kind == opPut {
		f(o)
	}
	for i := range o.then {
		o.then[i].eachPut(f)
	}
	for i := range o.other {
		o.other[i].eachPut(f)
	}
}

func (o *op) mayDelete(key string) bool {
	if o.kind == opRevoke || o.kind == opDelete && o.covers(key) {
		return true
	}
	for i := range o.then {
		if o.then[i].mayDelete(key) {
			return true
		}
	}
	for i := range o.other {
		if o.other[i].mayDelete(key) {
			return true
		}
	}
	return false
}
