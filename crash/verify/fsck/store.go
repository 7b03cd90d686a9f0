package fsck

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// record is one of the key bucket and where its bbolt key is in the file.
type record struct {
	main      int64
	create    int64
	version   int64
	lease     int64
	value     uint64 // hash
	digest    uint64 // of revision and record, byte for byte
	page      uint64
	off       int64
	prev      int32  // index of the key's record before it, plus 1; 0: none is there
	key       uint32 // index of store.keys
	sub       uint32
	tombstone bool
}

// store is what the walker finds in a db's buckets.
type store struct {
	keys      []string
	ids       map[string]uint32
	records   []record // in order of main, sub
	index     uint64   // consistent index
	indexPage uint64   // where the consistent index is
	indexOff  int64
	term      uint64 // 0: none, as before v3.5
	sched     int64  // revision of the last compaction begun; 0: none
	fin       int64  // and finished
	bad       int    // records that could not be read
	intact    int64  // up to this revision nothing was unreadable; valid if holed
	holed     bool
	problem   func(kind string, page uint64, off int64, format string, args ...any)
}

func newStore() *store { return &store{ids: make(map[string]uint32)} }

// revision is the newest.
func (s *store) revision() int64 {
	rev := max(1, s.compacted())
	if n := len(s.records); n > 0 {
		rev = max(rev, s.records[n-1].main)
	}
	return rev
}

func (s *store) compacted() int64 { return max(s.sched, s.fin, 0) }

// group gives the records of one revision.
func (s *store) group(main int64) []record {
	i := sort.Search(len(s.records), func(i int) bool { return s.records[i].main >= main })
	j := i
	for j < len(s.records) && s.records[j].main == main {
		j++
	}
	return s.records[i:j]
}

// visit takes in what the walker meets.
func (s *store) visit(bucket string, k, v []byte, page uint64, off int64) {
	switch bucket {
	case "key":
		s.record(k, v, page, off)
	case "meta":
		s.meta(string(k), v, page, off)
	}
}

func (s *store) meta(name string, v []byte, page uint64, off int64) {
	number := func() uint64 {
		if len(v) != 8 {
			s.problem("meta-bucket", page, off, "%s is %d bytes long and not 8", name, len(v))
			return 0
		}
		return binary.BigEndian.Uint64(v)
	}
	revision := func() int64 {
		main, _, _, ok := datadir.ParseRevision(v)
		if !ok && len(v) == 17 && binary.BigEndian.Uint64(v) == 0 {
			return 0
		}
		if !ok {
			s.problem("meta-bucket", page, off, "%s is not a revision", name)
		}
		return main
	}
	switch name {
	case "consistent_index":
		s.index, s.indexPage, s.indexOff = number(), page, off
	case "term":
		s.term = number()
	case "scheduledCompactRev":
		s.sched = revision()
	case "finishedCompactRev":
		s.fin = revision()
	}
}

func (s *store) record(k, v []byte, page uint64, off int64) {
	lose := func(format string, args ...any) {
		s.bad++
		s.hole()
		s.problem("record", page, off, format, args...)
	}
	main, sub, tombstone, ok := datadir.ParseRevision(k)
	if !ok {
		lose("the key bucket holds the key %x, which is not a revision", head(k))
		return
	}
	kv, err := datadir.ParseKeyValue(v)
	if err != nil {
		lose("the record of revision %d.%d is damaged: %v", main, sub, err)
		return
	}
	if !bytes.Equal(encode(&kv), v) {
		lose("the record of revision %d.%d is not as etcd writes one", main, sub)
		return
	}
	if !tombstone && kv.Mod != main {
		lose("the record of revision %d.%d says that it is of revision %d", main, sub, kv.Mod)
		return
	}
	if tombstone && (kv.Mod != 0 || kv.Create != 0 || kv.Version != 0 || kv.Lease != 0 || len(kv.Value) > 0) {
		lose("the record of the deletion in revision %d.%d holds more than a key", main, sub)
		return
	}
	id, known := s.ids[string(kv.Key)]
	if !known {
		id = uint32(len(s.keys))
		s.keys = append(s.keys, string(kv.Key))
		s.ids[s.keys[id]] = id
	}
	s.records = append(s.records, record{
		main: main, sub: uint32(sub), tombstone: tombstone, key: id, value: datadir.Hash(kv.Value), digest: datadir.Hash(v),
		create: kv.Create, version: kv.Version, lease: kv.Lease, page: page, off: off,
	})
}

// encode gives a record as etcd has always written it: fields in order, those of
// zero left out. Damage of a tag or a length does not survive the way there and
// back.
func encode(kv *datadir.KeyValue) (b []byte) {
	bytes := func(field protowire.Number, v []byte) {
		if len(v) > 0 {
			b = protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
		}
	}
	number := func(field protowire.Number, v int64) {
		if v != 0 {
			b = protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
		}
	}
	bytes(1, kv.Key)
	number(2, kv.Create)
	number(3, kv.Mod)
	number(4, kv.Version)
	bytes(5, kv.Value)
	number(6, kv.Lease)
	return b
}

// name quotes a key for people.
func (s *store) name(key uint32) string {
	const long = 80
	if k := s.keys[key]; len(k) > long {
		return fmt.Sprintf("%q... (%d bytes)", k[:long], len(k))
	}
	return fmt.Sprintf("%q", s.keys[key])
}
