package fsck

import "fmt"

// chain checks what the records of one key say of one another, and that no
// revision is missing: what needs no log. Above the compaction all records are
// there; at and below it only those that the compaction left.
func (s *store) chain() {
	compacted := s.compacted()
	last := make([]int32, len(s.keys)) // of each key: index of its last record, plus 1
	prev := max(compacted, 1)
	for i := range s.records {
		r := &s.records[i]
		if r.main > compacted {
			s.follows(prev, i)
			prev = r.main
		}
		var before *record
		if n := last[r.key]; n > 0 {
			before, r.prev = &s.records[n-1], n
		}
		s.link(before, r, compacted)
		last[r.key] = int32(i + 1)
	}
}

// follows checks that the record at i is the next one after a revision.
func (s *store) follows(prev int64, i int) {
	r := &s.records[i]
	switch {
	case r.main == prev && (i == 0 || s.records[i-1].sub+1 != r.sub || s.records[i-1].main != r.main):
		s.problem("revision", r.page, r.off, "revision %d holds record %d out of turn: others of that transaction are missing before it", r.main, r.sub)
	case r.main == prev:
	case len(s.keys[r.key]) == 0:
		// etcdutl's --bump-revision leaves a gap that ends in a record of no key.
	case r.main == prev+2:
		s.problem("revision", r.page, r.off, "revision %d is missing: revision %d follows %d", prev+1, r.main, prev)
	case r.main > prev+1:
		s.problem("revision", r.page, r.off, "revisions %d to %d are missing: revision %d follows %d", prev+1, r.main-1, r.main, prev)
	case r.sub != 0:
		s.problem("revision", r.page, r.off, "revision %d begins with record %d: those before it are missing", r.main, r.sub)
	}
}

// link checks a record against the one of the same key before it.
func (s *store) link(before, r *record, compacted int64) {
	wrong := func(format string, args ...any) {
		s.problem("version", r.page, r.off, "revision %d of key %s %s", r.main, s.name(r.key), fmt.Sprintf(format, args...))
	}
	live := before != nil && !before.tombstone
	switch {
	case r.tombstone && len(s.keys[r.key]) == 0:
	case r.tombstone:
		if !live && r.main > compacted {
			wrong("deletes it, and no record before it holds the key")
		}
	case r.version < 1 || r.create < 1 || r.create > r.main || r.version > r.main-r.create+1 || (r.version == 1) != (r.create == r.main):
		wrong("is version %d of what was created at revision %d, which cannot be", r.version, r.create)
	case r.main <= compacted && before == nil:
		// What it followed is compacted away.
	case live && before.main > 0 && r.main > compacted && (r.version != before.version+1 || r.create != before.create):
		wrong("is version %d created at revision %d, and follows version %d created at %d in revision %d", r.version, r.create, before.version, before.create, before.main)
	case !live && r.main > compacted && r.version != 1:
		wrong("is version %d, and no version before it is there", r.version)
	}
}
