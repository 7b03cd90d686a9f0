package verify

import (
	"cmp"
	"math/bits"
	"sort"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// cell is a key's live value.
type cell struct {
	value                uint64
	create, mod, version int64
	lease                int64
	live                 bool
}

// state is the store at one revision, as far as the run's prefix goes. Keys are
// in order, so that an interval is a slice.
type state struct {
	cells  []cell
	bits   []uint64 // of the live cells
	rank   []uint32 // of a key's number
	number []uint32 // of a rank
	undo   []saved
	names  []string
	// attached counts the live keys of each lease.
	attached map[int64]int
}

type saved struct {
	rank uint32
	cell cell
}

func newState(keys *keyTable) *state {
	n := len(keys.names)
	s := &state{
		cells: make([]cell, n), bits: make([]uint64, (n+63)/64), rank: make([]uint32, n), number: make([]uint32, n), names: keys.names,
		attached: make(map[int64]int),
	}
	for i := range s.number {
		s.number[i] = uint32(i)
	}
	sort.Slice(s.number, func(i, j int) bool { return keys.names[s.number[i]] < keys.names[s.number[j]] })
	for r, n := range s.number {
		s.rank[n] = uint32(r)
	}
	return s
}

// span is the ranks of an interval, as in etcd's API: no end is a single key,
// "\x00" is everything from the key on.
func (s *state) span(key, end uint32) (from, to uint32) {
	from = s.rank[key]
	switch {
	case end == 0:
		return from, from + 1
	case s.names[end] == "\x00":
		return from, uint32(len(s.cells))
	}
	return from, max(from, s.rank[end])
}

func (s *state) get(key uint32) *cell { return &s.cells[s.rank[key]] }

// next is the first live rank at or after from and below to; to if none is.
func (s *state) next(from, to uint32) uint32 {
	for from < to {
		word := s.bits[from/64] >> (from % 64)
		if word != 0 {
			return min(to, from+uint32(bits.TrailingZeros64(word)))
		}
		from = (from/64 + 1) * 64
	}
	return to
}

// count is the number of live keys in an interval.
func (s *state) count(from, to uint32) (n int64) {
	for from < to {
		word := s.bits[from/64] >> (from % 64)
		step := min(64-from%64, to-from)
		if step < 64 {
			word &= 1<<step - 1
		}
		n += int64(bits.OnesCount64(word))
		from += step
	}
	return n
}

func (s *state) set(rank uint32, c cell) {
	if was := &s.cells[rank]; was.lease != c.lease {
		if was.lease != 0 {
			if s.attached[was.lease]--; s.attached[was.lease] == 0 {
				delete(s.attached, was.lease)
			}
		}
		if c.lease != 0 {
			s.attached[c.lease]++
		}
	}
	s.cells[rank] = c
	if c.live {
		s.bits[rank/64] |= 1 << (rank % 64)
	} else {
		s.bits[rank/64] &^= 1 << (rank % 64)
	}
}

// try sets a cell so that rollback restores it.
func (s *state) try(rank uint32, c cell) {
	s.undo = append(s.undo, saved{rank, s.cells[rank]})
	s.set(rank, c)
}

func (s *state) rollback() {
	for i := len(s.undo) - 1; i >= 0; i-- {
		s.set(s.undo[i].rank, s.undo[i].cell)
	}
	s.undo = s.undo[:0]
}

// put is the cell that a put at a revision makes of the one before it.
func put(old cell, value uint64, lease, rev int64) cell {
	c := cell{value: value, create: rev, mod: rev, version: 1, lease: lease, live: true}
	if old.live {
		c.create, c.version = old.create, old.version+1
	}
	return c
}

// compare says whether a transaction's compares hold, as etcd's applyCompare
// does. sure is false when it depends on the order of values of which only the
// hash is known.
func (r *replay) compare(cs []compare) (held, sure bool) {
	sure = true
	for i := range cs {
		c := &cs[i]
		from, to := r.state.span(c.key, c.end)
		k := from
		if c.end != 0 {
			k = r.state.next(from, to)
		}
		for first := true; first || k < to; first = false {
			var cell *cell = &absent
			if k < to {
				cell = &r.state.cells[k]
			}
			held, known := r.meets(cell, k, c)
			if known && !held {
				return false, true
			}
			sure = sure && known
			if k < to {
				k = r.state.next(k+1, to)
			}
		}
	}
	return true, sure
}

var absent cell

// meets says whether a key meets a condition.
func (r *replay) meets(cell *cell, rank uint32, c *compare) (held, known bool) {
	order := 0
	switch c.target {
	case history.CompareValue:
		if !cell.live {
			return false, true // etcd: a value of a key that is not there never compares
		}
		switch {
		case cell.value == c.value:
		case c.text > 0:
			text, ok := r.text(rank)
			if !ok {
				return false, false
			}
			order = strings.Compare(text, r.h.texts[c.text-1])
		default:
			order = 1
		}
	case history.CompareVersion:
		order = cmp.Compare(cell.version, c.number)
	case history.CompareCreate:
		order = cmp.Compare(cell.create, c.number)
	case history.CompareMod:
		order = cmp.Compare(cell.mod, c.number)
	case history.CompareLease:
		order = cmp.Compare(cell.lease, c.number)
	}
	return related(order, c.result), true
}

// text makes a live key's value again from its name; only hashes are kept.
func (r *replay) text(rank uint32) (string, bool) {
	c := &r.state.cells[rank]
	if c.value == emptyHash {
		return "", true
	}
	for _, g := range r.chron.group(c.mod) {
		if r.state.rank[g.Key] == rank && g.Is(datadir.Named) {
			v := history.Value(r.t.run.ID, g.Client, g.Op, int(g.N), int(g.Size))
			return v, datadir.Hash(v) == c.value
		}
	}
	return "", false
}

var emptyHash = datadir.Hash("")

func related(order int, r history.CompareResult) bool {
	switch r {
	case history.Equal:
		return order == 0
	case history.Greater:
		return order > 0
	case history.Less:
		return order < 0
	}
	return order != 0
}
