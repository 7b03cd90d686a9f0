package model

import (
	"hash/crc32"
	"slices"
)

// Record is one record of etcd's key bucket.
type Record struct {
	Main, Sub int64
	Change
}

// Records are those of all revisions that the state knows, oldest first.
func (s *State) Records() (out []Record) {
	var chain []*State
	for last := int64(-1); s != nil; s = s.before {
		if s.Revision != last { // a grant or a compaction is a state without a revision of its own
			chain = append(chain, s)
			last = s.Revision
		}
	}
	for _, s := range slices.Backward(chain) {
		for sub, c := range s.Changes {
			out = append(out, Record{s.Revision, int64(sub), c})
		}
	}
	return out
}

// Compact is what etcd keeps of records once a compaction at a revision is done:
// up to it the newest of each key alone, and of those no tombstone that is older
// than the compaction's own revision.
func Compact(records []Record, at int64) []Record {
	newest := make(map[string]int)
	for i := range records {
		if records[i].Main <= at {
			newest[records[i].KV.Key] = i
		}
	}
	var out []Record
	for i := range records {
		r := &records[i]
		if r.Main > at || newest[r.KV.Key] == i && (!r.Tombstone || r.Main == at) {
			out = append(out, *r)
		}
	}
	return out
}

// Hash is etcd's HashKV over the encoded records of a store compacted at a
// revision, 0 for never: a tombstone of that very revision does not count, since
// older releases do not keep it.
func Hash(records []Record, compacted int64, encode func(*Record) (k, v []byte)) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	h := crc32.Checksum([]byte("key"), table)
	for i := range records {
		r := &records[i]
		if r.Tombstone && r.Main == compacted {
			continue
		}
		k, v := encode(r)
		h = crc32.Update(crc32.Update(h, table, k), table, v)
	}
	return h
}
