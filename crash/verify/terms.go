package verify

import "slices"

// inTerm notes that a member answered in a raft term.
func (h *ops) inTerm(member uint8, term uint64, at int64) {
	if !h.eras.current(h.members[member], at) {
		return // as a member that is no more
	}
	for int(member) >= len(h.termOf) {
		h.termOf = append(h.termOf, 0)
	}
	h.termOf[member] = max(h.termOf[member], term)
}

// termsKept says whether a member's log still has every term that the member has
// answered in: raft saves its term before it acts in it, and never goes back.
func (c *evidence) termsKept(m *member, report func(string, ...any)) {
	rep := &m.store.Report
	answered := uint64(0)
	if m.final != nil {
		answered = m.final.RaftTerm
	}
	if c.ops != nil && c.ops.malformed == "" {
		if n := slices.Index(c.ops.members, m.name); n >= 0 && n < len(c.ops.termOf) {
			answered = max(answered, c.ops.termOf[n])
		}
	}
	switch {
	case rep.WAL.Term < answered:
		report("it answered in raft term %d, and the last hard state of its log is of term %d: a member's term never goes back", answered, rep.WAL.Term)
	case rep.DB.Term > rep.WAL.Term:
		report("the db has applied an entry of term %d, and the last hard state of its log is of term %d", rep.DB.Term, rep.WAL.Term)
	}
}
