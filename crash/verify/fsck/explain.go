package fsck

// How closely a request explains the records of a revision.
type match uint8

const (
	noMatch   match = iota
	nearMatch       // the keys and kinds are its own; a value or a lease is not
	fullMatch
)

// maxSteps bounds the search through branches of nested transactions.
const maxSteps = 10_000

// matcher compares requests with revisions.
type matcher struct {
	s     *store
	near  bool // overlook values and leases
	steps int
}

// explains says whether a request can have written exactly these records.
func (s *store) explains(o *op, group []record) match {
	if len(group) == 0 {
		return noMatch
	}
	for _, near := range []bool{false, true} {
		m := matcher{s: s, near: near}
		if m.whole(o, group) {
			if near {
				return nearMatch
			}
			return fullMatch
		}
		if m.steps > maxSteps {
			return fullMatch // too much to search: no ground for an accusation
		}
	}
	return noMatch
}

func (m *matcher) whole(o *op, group []record) bool {
	for _, end := range m.run(o, group, 0) {
		if end == len(group) {
			return true
		}
	}
	return false
}

// run gives the places up to which the request can have written, from a place on.
func (m *matcher) run(o *op, group []record, at int) []int {
	if m.steps++; m.steps > maxSteps {
		return nil
	}
	switch o.kind {
	case opPut:
		if at < len(group) && m.put(o, &group[at]) {
			return []int{at + 1}
		}
		return nil
	case opDelete, opRevoke:
		for at < len(group) && group[at].tombstone && (o.kind == opRevoke || o.covers(m.s.keys[group[at].key])) {
			at++
		}
		return []int{at}
	}
	ends := m.branch(o.then, group, at)
	for _, end := range m.branch(o.other, group, at) {
		ends = add(ends, end)
	}
	return ends
}

func (m *matcher) branch(ops []op, group []record, at int) []int {
	places := []int{at}
	for i := range ops {
		var next []int
		for _, p := range places {
			for _, end := range m.run(&ops[i], group, p) {
				next = add(next, end)
			}
		}
		if places = next; len(places) == 0 {
			return nil
		}
	}
	return places
}

func (m *matcher) put(o *op, r *record) bool {
	if r.tombstone || m.s.keys[r.key] != o.key {
		return false
	}
	if m.near {
		return true
	}
	// What a put leaves as it was is not in the log, but in the record before.
	value, lease := o.value, o.lease
	if o.ignoreValue {
		value = r.value
	}
	if o.ignoreLease {
		lease = r.lease
	}
	if before := m.s.before(r); before != nil {
		if o.ignoreValue {
			value = before.value
		}
		if o.ignoreLease {
			lease = before.lease
		}
	}
	return r.value == value && r.lease == lease
}

// before is the record that a put wrote over, if it is there.
func (s *store) before(r *record) *record {
	if r.prev == 0 || s.records[r.prev-1].tombstone {
		return nil
	}
	return &s.records[r.prev-1]
}

func add(places []int, p int) []int {
	for _, q := range places {
		if p == q {
			return places
		}
	}
	return append(places, p)
}
