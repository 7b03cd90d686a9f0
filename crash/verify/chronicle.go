package verify

import (
	"cmp"
	"slices"
	"sort"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// chronicle is what each revision of the run wrote, as far as the evidence goes:
// above the compaction what the replayed store holds; below it what the
// recorders were told while it happened, and where they were away, what was
// acknowledged. The run's keys did not exist at its base.
type chronicle struct {
	base      int64
	compacted int64 // revisions up to it are not in the store any more
	told      bool  // recorders tell of those
	recs      []datadir.Revision
	others    map[int64][][]datadir.Revision // other accounts of what is in recs
	start     []uint32                       // where each revision's records begin, from recs[0].Main on; nil: too sparse
	gaps      []span                         // above base, of which nothing is known, in order
	ends      []leaseEnd
	writers   []int32 // by revision above base, one more than the index of the operation
	byKey     []uint32
	keyAt     []uint32
}

// span is an interval of revisions, both ends included.
type span struct{ from, to int64 }

// leaseEnd is a revision that deleted all keys of a lease.
type leaseEnd struct {
	rev   int64
	lease int64
	sure  bool // no delete of unknown outcome explains it as well
}

// newChronicle joins what the recorders were told to a store.
func newChronicle(base int64, store *datadir.Store, told *tapes) *chronicle {
	c := &chronicle{base: base, compacted: store.Report.DB.Compacted(), recs: store.Revisions}
	if c.compacted > base && told != nil && len(told.recs) > 0 {
		above := sort.Search(len(c.recs), func(i int) bool { return c.recs[i].Main > c.compacted })
		c.told, c.recs, c.others = true, slices.Concat(told.recs, c.recs[above:]), told.others
	}
	c.index()
	return c
}

// index makes revisions findable by their number, unless someone made up a store
// whose revisions are far apart.
func (c *chronicle) index() {
	c.start = nil
	if len(c.recs) == 0 {
		return
	}
	first, last := c.recs[0].Main, c.recs[len(c.recs)-1].Main
	if last-first > int64(len(c.recs))*4+1024 {
		return
	}
	c.start = make([]uint32, last-first+2)
	i := 0
	for rev := first; rev <= last; rev++ {
		c.start[rev-first] = uint32(i)
		for i < len(c.recs) && c.recs[i].Main == rev {
			i++
		}
	}
	c.start[last-first+1] = uint32(i)
}

// group gives the records of one revision in order; none if it is not known or
// was none.
func (c *chronicle) group(rev int64) []datadir.Revision {
	if c.start != nil {
		i := rev - c.recs[0].Main
		if i < 0 || i >= int64(len(c.start))-1 {
			return nil
		}
		return c.recs[c.start[i]:c.start[i+1]]
	}
	i := sort.Search(len(c.recs), func(i int) bool { return c.recs[i].Main >= rev })
	j := i
	for j < len(c.recs) && c.recs[j].Main == rev {
		j++
	}
	return c.recs[i:j]
}

// known says whether every revision from one to another is known, both included.
func (c *chronicle) known(from, to int64) bool {
	if from <= c.base || !c.told && from <= c.compacted {
		return from > to
	}
	i := sort.Search(len(c.gaps), func(i int) bool { return c.gaps[i].to >= from })
	return i == len(c.gaps) || c.gaps[i].from > to
}

func (c *chronicle) gap(from, to int64) {
	if n := len(c.gaps); n > 0 && c.gaps[n-1].to+1 >= from {
		c.gaps[n-1].to = max(c.gaps[n-1].to, to)
		return
	}
	c.gaps = append(c.gaps, span{from, to})
}

// amend puts revisions into the chronicle, in place of what it has of them: what
// only an acknowledgement tells of, as every recorder was away, and what the
// recorders do not agree on. Few are of either kind.
func (c *chronicle) amend(recs []datadir.Revision) {
	if len(recs) == 0 {
		return
	}
	amended := make(map[int64]bool)
	for i := range recs {
		amended[recs[i].Main] = true
	}
	all := make([]datadir.Revision, 0, len(c.recs)+len(recs))
	for i := range c.recs {
		if !amended[c.recs[i].Main] {
			all = append(all, c.recs[i])
		}
	}
	c.recs = append(all, recs...)
	slices.SortStableFunc(c.recs, func(a, b datadir.Revision) int { return cmp.Compare(a.Main, b.Main) })
	c.index()
}

// writer is the index of the operation that wrote a revision; -1: none is known.
func (c *chronicle) writer(rev int64) int {
	if i := rev - c.base - 1; i >= 0 && i < int64(len(c.writers)) {
		return int(c.writers[i]) - 1
	}
	return -1
}

// wrote notes the writers that the replay found.
func (c *chronicle) wrote(h *ops, head int64) {
	if head <= c.base || head-c.base > int64(len(c.recs))*4+1024 {
		return
	}
	c.writers = make([]int32, head-c.base)
	for i := range h.all {
		if at := h.all[i].at; at > c.base && at <= head {
			c.writers[at-c.base-1] = int32(i) + 1
		}
	}
}

// last is the newest record of a key at or below a revision, which may be its
// delete; ok is false when there is none in the run.
func (c *chronicle) last(key uint32, rev int64) (r *datadir.Revision, ok bool) {
	list := c.history(key)
	i := sort.Search(len(list), func(i int) bool { return c.recs[list[i]].Main > rev })
	if i == 0 {
		return nil, false
	}
	return &c.recs[list[i-1]], true
}

// history gives the positions in recs of a key's records, in order.
func (c *chronicle) history(key uint32) []uint32 {
	if c.keyAt == nil {
		top := uint32(0)
		for i := range c.recs {
			top = max(top, c.recs[i].Key)
		}
		c.keyAt = make([]uint32, top+3)
		for i := range c.recs {
			c.keyAt[c.recs[i].Key+2]++
		}
		for i := 1; i < len(c.keyAt); i++ {
			c.keyAt[i] += c.keyAt[i-1]
		}
		c.byKey = make([]uint32, len(c.recs))
		for i := range c.recs {
			k := c.recs[i].Key + 1
			c.byKey[c.keyAt[k]] = uint32(i)
			c.keyAt[k]++
		}
	}
	if int(key)+1 >= len(c.keyAt) {
		return nil
	}
	return c.byKey[c.keyAt[key]:c.keyAt[key+1]]
}
