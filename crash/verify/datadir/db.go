package datadir

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/cespare/xxhash/v2"
	bolt "go.etcd.io/bbolt"

	"github.com/etcdlab/etcdlab/crash/history"
)

const (
	revBytes    = 17 // of a bucket key: main, '_', sub, big-endian
	maxProblems = 20 // of one kind and file; corruption has a long tail
)

// Hash identifies a value: 64 bits, good enough to tell the value that a key
// should hold from any other, not to search for one.
func Hash[T string | []byte](value T) uint64 {
	switch v := any(value).(type) {
	case string:
		return xxhash.Sum64String(v)
	default:
		return xxhash.Sum64(v.([]byte))
	}
}

// dbReader reads member/snap/db.
type dbReader struct {
	q    *Query
	rep  *Report
	out  *encoder
	hash uint32 // HashKV so far
	kv   keyValue
	last int64
}

const dbName = "member/snap/db"

func (d *dbReader) problem(format string, args ...any) {
	d.rep.Problems = append(d.rep.Problems, Problem{File: dbName, Message: fmt.Sprintf(format, args...)})
}

// read streams the key bucket and checks the pages. What bbolt panics on, and
// faults of the mapping on this goroutine, become a problem and DB.Error; a
// fault on one of bbolt's own goroutines ends the process.
func (d *dbReader) read(dir string) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			d.rep.DB.Error = panicText(r)
			d.problem("bbolt cannot read it: %s", d.rep.DB.Error)
			err = nil
		}
	}()
	path := filepath.Join(dir, filepath.FromSlash(dbName))
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err):
		d.rep.DB.Error = "there is no db file"
	case err != nil:
		return err
	case info.Size() == 0:
		d.rep.DB.Error = "it is empty"
	}
	if d.rep.DB.Error != "" {
		d.problem("%s", d.rep.DB.Error)
		return nil
	}
	d.rep.DB.Size = info.Size()
	db, err := bolt.Open(path, 0o400, &bolt.Options{ReadOnly: true, Timeout: 5 * time.Second, NoStatistics: true})
	if err != nil {
		if os.IsPermission(err) {
			return fmt.Errorf("open %s: %w", dbName, err)
		}
		d.rep.DB.Error = bareError(err)
		d.problem("bbolt cannot open it: %s", d.rep.DB.Error)
		return nil
	}
	defer db.Close()
	tx, err := db.Begin(false)
	if err != nil {
		return fmt.Errorf("open %s: %w", dbName, err)
	}
	defer tx.Rollback() //nolint:errcheck // a read transaction has nothing to lose
	d.rep.DB.Pages = uint64(tx.Size()) / uint64(db.Info().PageSize)
	// Pages beyond the file's end are in the mapping and hold nothing, or fault.
	if tx.Size() > info.Size() {
		d.rep.DB.Error = fmt.Sprintf("it is %d bytes long, but its meta page says %d", info.Size(), tx.Size())
		d.problem("%s", d.rep.DB.Error)
		return nil
	}
	d.meta(tx)
	if err := d.keys(tx); err != nil {
		d.rep.DB.Error = err.Error()
		d.problem("%v", err)
	}
	d.shared(tx)
	d.pages(tx)
	return nil
}

// bareError leaves the path out: a verdict is the same wherever the run
// directory is.
func bareError(err error) string {
	for {
		switch e := err.(type) {
		case *os.PathError:
			return e.Op + ": " + bareError(e.Err)
		case *os.SyscallError:
			return e.Syscall + ": " + bareError(e.Err)
		}
		return err.Error()
	}
}

// panicText is the same for every run: a fault's address is not.
func panicText(r any) string {
	if _, ok := r.(runtime.Error); ok {
		return "a fault in the mapped file, or an offset in it that leads nowhere"
	}
	return steady(fmt.Sprint(r))
}

func (d *dbReader) meta(tx *bolt.Tx) {
	meta := tx.Bucket([]byte("meta"))
	if meta == nil {
		d.problem("there is no meta bucket")
		return
	}
	number := func(name string) uint64 {
		v := meta.Get([]byte(name))
		if v == nil {
			return 0
		}
		if len(v) != 8 {
			d.problem("%s is %d bytes long", name, len(v))
			return 0
		}
		return binary.BigEndian.Uint64(v)
	}
	revision := func(name string) int64 {
		v := meta.Get([]byte(name))
		if v == nil {
			return 0
		}
		main, _, _, ok := ParseRevision(v)
		if !ok {
			d.problem("%s is not a revision", name)
		}
		return main
	}
	d.rep.DB.ConsistentIndex, d.rep.DB.Term = number("consistent_index"), number("term")
	d.rep.DB.Scheduled, d.rep.DB.Finished = revision("scheduledCompactRev"), revision("finishedCompactRev")
}

// ParseRevision reads a key of the key bucket.
func ParseRevision(k []byte) (main, sub int64, tombstone, ok bool) {
	if len(k) < revBytes || len(k) > revBytes+1 || k[8] != '_' {
		return 0, 0, false, false
	}
	tombstone = len(k) == revBytes+1
	if tombstone && k[revBytes] != 't' {
		return 0, 0, false, false
	}
	main, sub = int64(binary.BigEndian.Uint64(k)), int64(binary.BigEndian.Uint64(k[9:]))
	return main, sub, tombstone, main > 0 && sub >= 0 && sub < 1<<31
}

// keys streams the key bucket in order of revision.
func (d *dbReader) keys(tx *bolt.Tx) error {
	db := &d.rep.DB
	db.Revision = max(1, db.Compacted())
	hashing := d.q.HashRevision > 0 && db.Compacted() == 0
	if hashing {
		db.HashRevision, d.hash = d.q.HashRevision, crc32.Checksum([]byte("key"), castagnoli)
	}
	bucket := tx.Bucket([]byte("key"))
	if bucket == nil {
		return fmt.Errorf("there is no key bucket")
	}
	cursor := bucket.Cursor()
	for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
		if err := d.key(k, v, hashing); err != nil {
			return err
		}
	}
	db.Revision, db.Hash = max(db.Revision, d.last), d.hash
	return nil
}

func (d *dbReader) key(k, v []byte, hashing bool) error {
	main, sub, tombstone, ok := ParseRevision(k)
	if !ok {
		return fmt.Errorf("the key bucket holds %x, which is not a revision", k)
	}
	if main < d.last {
		return fmt.Errorf("the key bucket is out of order: revision %d follows %d", main, d.last)
	}
	if err := d.kv.parse(v); err != nil {
		return fmt.Errorf("the record of revision %d.%d is damaged: %w", main, sub, err)
	}
	d.last = main
	d.rep.DB.Keys++
	if hashing && main <= d.q.HashRevision {
		d.hash = crc32.Update(crc32.Update(d.hash, castagnoli, k), castagnoli, v)
	}
	if d.q.OnlyDB {
		return nil
	}
	var h xxhash.Digest
	h.Reset()
	_, _ = h.Write(k)
	_, _ = h.Write(v)
	r := Revision{Main: main, Sub: uint32(sub), Digest: h.Sum64(), Key: d.out.key(d.kv.key)}
	if tombstone {
		r.Flags |= Tombstone
	}
	switch {
	case len(d.kv.key) < len(d.q.Prefix) || string(d.kv.key[:len(d.q.Prefix)]) != d.q.Prefix:
		r.Flags |= Foreign
	case !tombstone:
		d.fill(&r)
	}
	d.out.revision(&r, d.kv.value)
	return d.out.err
}

func (d *dbReader) fill(r *Revision) {
	kv := &d.kv
	r.Value, r.Size, r.Create, r.Version, r.Lease = Hash(kv.value), uint32(len(kv.value)), kv.create, kv.version, kv.lease
	if kv.mod != r.Main {
		r.Flags |= BadMod
	}
	if name, ok := parseName(kv.value, d.q.RunID); ok {
		r.Flags |= Named
		r.Op, r.Client, r.N = name.Op, name.Client, uint16(name.N)
	}
}

// maxName bounds the part of a value that can be its name.
const maxName = 128

func parseName(value []byte, runID string) (history.ValueName, bool) {
	name, ok := history.ParseValue(string(value[:min(len(value), maxName)]))
	return name, ok && name.RunID == runID && name.N < 1<<16
}

// pages runs bbolt's own check: every page reachable or free, once, of a known
// type, with its keys in order.
func (d *dbReader) pages(tx *bolt.Tx) {
	n := 0
	for err := range tx.Check() {
		if n++; n <= maxProblems {
			d.problem("page check: %s", steady(err.Error()))
		}
	}
	if n > maxProblems {
		d.problem("page check: %d more errors", n-maxProblems)
	}
}
