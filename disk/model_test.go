package disk

import (
	"fmt"
	"slices"
)

// model is a disk as the rules have it and nothing else: a list of what was
// written. It shares no code with the engine, and where the engine is quick it
// is naive.
type model struct {
	base    []int // contents of each sector before ops: who wrote it
	ops     []modelOp
	atom    int // sectors
	noCache bool
	lies    bool
	writer  int // of the newest op
}

// modelOp makes the sectors [from, to) hold value, which is the op's own
// number or, for zeroes, 0.
type modelOp struct {
	from, to, value int
	durable         bool
}

func (m *model) write(from, to int, fua bool) (value int) {
	m.writer++
	m.ops = append(m.ops, modelOp{from, to, m.writer, fua && !m.lies || m.noCache})
	return m.writer
}

func (m *model) zero(from, to int) {
	m.ops = append(m.ops, modelOp{from, to, 0, m.noCache})
}

// torn notes what is seen of a write that was torn: every atom of it is there or
// not, some are and some are not, and what is next to one another is one write.
func (m *model) torn(before, got []int, from, to int) error {
	there, missing := 0, 0
	for at := from; at < to; {
		end := min((at/m.atom+1)*m.atom, to)
		for ; end < to && (got[end] == m.writer) == (got[at] == m.writer) && end%m.atom == 0; end = min(end+m.atom, to) {
		}
		if got[at] == m.writer {
			there++
			m.ops = append(m.ops, modelOp{at, end, m.writer, m.noCache})
		} else {
			missing++
		}
		at = end
	}
	if there == 0 || missing == 0 {
		return fmt.Errorf("a torn write has %d runs of sectors that are there and %d that are not: %v over %v", there, missing, got, before)
	}
	return nil
}

// flush makes the first n ops durable: those that had completed when it was
// submitted.
func (m *model) flush(n int) {
	if m.lies {
		return
	}
	for i := range m.ops[:n] {
		m.ops[i].durable = true
	}
}

func (m *model) uncovered() (n int) {
	for _, o := range m.ops {
		if !o.durable {
			n++
		}
	}
	return n
}

// state is the contents if exactly the durable ops and those that keep says,
// sector by sector, reach the disk, in order. keep is asked with the number of
// the op among the uncovered ones.
func (m *model) state(keep func(uncovered, sector int) bool) []int {
	s := slices.Clone(m.base)
	u := 0
	for _, o := range m.ops {
		for at := o.from; at < o.to; at++ {
			if o.durable || keep(u, at) {
				s[at] = o.value
			}
		}
		if !o.durable {
			u++
		}
	}
	return s
}

func (m *model) newest() []int { return m.state(func(int, int) bool { return true }) }

// allows fails if the policy cannot leave the state got.
func (m *model) allows(policy Policy, got []int) error {
	n := m.uncovered()
	same := func(keep func(u, at int) bool) bool { return slices.Equal(m.state(keep), got) }
	ok := false
	switch policy {
	case Drop:
		ok = same(func(int, int) bool { return false })
	case Keep:
		ok = same(func(int, int) bool { return true })
	case Prefix:
		for k := 0; k < max(n, 1) && !ok; k++ {
			ok = same(func(u, _ int) bool { return u < k })
		}
	case Random:
		if n > 16 {
			return fmt.Errorf("the test let %d writes pile up, too many to try every subset", n)
		}
		for set := 0; set < max(1<<n-1, 1) && !ok; set++ { // the last is keep's
			ok = same(func(u, _ int) bool { return set&(1<<u) != 0 })
		}
	case Torn:
		return m.allowsAtoms(got)
	}
	if !ok {
		return fmt.Errorf("%s may not leave %v of %+v over %v", policy, got, m.ops, m.base)
	}
	return nil
}

// allowsAtoms checks atom by atom, since with torn each of them is on its own:
// any subset of the ops that touch it.
func (m *model) allowsAtoms(got []int) error {
	for from := 0; from < len(got); from += m.atom {
		to := from + m.atom
		var touch []int
		u := 0
		for _, o := range m.ops {
			if o.durable {
				continue
			}
			if o.from < to && o.to > from {
				touch = append(touch, u)
			}
			u++
		}
		ok := false
		for set := 0; set < 1<<len(touch) && !ok; set++ {
			s := m.state(func(u, _ int) bool {
				i := slices.Index(touch, u)
				return i >= 0 && set&(1<<i) != 0
			})
			ok = slices.Equal(s[from:to], got[from:to])
		}
		if !ok {
			return fmt.Errorf("torn may not leave %v in sectors %d to %d of %+v over %v", got[from:to], from, to, m.ops, m.base)
		}
	}
	return nil
}

// every returns every state that the policy may leave, for small models.
func (m *model) every(policy Policy) map[string]bool {
	n := m.uncovered()
	states := map[string]bool{}
	add := func(keep func(u, at int) bool) { states[fmt.Sprint(m.state(keep))] = true }
	switch policy {
	case Prefix:
		for k := 0; k < n; k++ {
			add(func(u, _ int) bool { return u < k })
		}
	case Random:
		for set := range 1<<n - 1 { // the last is keep's
			add(func(u, _ int) bool { return set&(1<<u) != 0 })
		}
	case Torn:
		atoms := len(m.base) / m.atom
		for set := range 1 << (n * atoms) {
			add(func(u, at int) bool { return set&(1<<(u*atoms+at/m.atom)) != 0 })
		}
	}
	return states
}

// cutTo ends the model's epoch: the disk holds got and has power again.
func (m *model) cutTo(got []int) { m.base, m.ops = slices.Clone(got), nil }
