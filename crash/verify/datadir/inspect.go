package datadir

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Query says what to read and what of it is the run's.
type Query struct {
	Dir          string
	Prefix       string // keys that do not begin with it are foreign
	RunID        string // values that do not begin with it have no name
	HashRevision int64  // compute HashKV up to it; 0: do not
	OnlyDB       bool   // leave the log, the snapshots and the stream of revisions out
}

// inspect reads the directory and streams what it finds to out. Damage is in
// the stream's report; an error is about the reading.
func inspect(q *Query, out io.Writer) error {
	rep := &Report{}
	enc := newEncoder(out)
	db := &dbReader{q: q, rep: rep, out: enc}
	if err := db.read(q.Dir); err != nil {
		return err
	}
	if q.OnlyDB {
		return enc.report(rep)
	}
	if err := readLog(q, rep, enc); err != nil {
		return err
	}
	if err := readSnaps(q.Dir, rep); err != nil {
		return err
	}
	return enc.report(rep)
}

// readLog reads the WAL and streams the writes that may be asked for later: the
// deletes, whose effects carry no name, and what the db does not show yet.
func readLog(q *Query, rep *Report, enc *encoder) error {
	var writes []Write
	applied := rep.DB.ConsistentIndex
	if rep.DB.Error != "" {
		applied = 0 // then the log is all there is
	}
	w := &walReader{rep: rep}
	w.entry = func(e *entry, _ int) {
		// An entry of a new leader replaces those from its index on: they were
		// never committed.
		for len(writes) > 0 && writes[len(writes)-1].Index >= e.index {
			writes = writes[:len(writes)-1]
		}
		if e.kind != 0 || len(e.data) == 0 {
			return
		}
		pending := e.index > applied
		at := len(writes)
		// Data that are no InternalRaftRequest are requests of etcd's own from
		// before v3; they write no keys.
		put := func(key, value []byte) {
			if !strings.HasPrefix(string(key), q.Prefix) {
				return
			}
			p := Write{Index: e.index, Term: e.term, Pending: true, Key: string(key), Value: Hash(value)}
			if name, ok := parseName(value, q.RunID); ok {
				p.Named, p.Op = true, name.Op
			}
			writes = append(writes, p)
		}
		if !pending {
			put = nil // the db shows them
		}
		err := eachWrite(e.data, put, func(key, end []byte) {
			if reaches(key, end, q.Prefix) {
				writes = append(writes, Write{
					Index: e.index, Term: e.term, Delete: true, Pending: pending, Key: string(key), End: string(end),
				})
			}
		})
		if err != nil {
			writes = writes[:at]
		}
	}
	if err := w.read(q.Dir); err != nil {
		return fmt.Errorf("read %s: %w", filepath.Join("member", "wal"), err)
	}
	for i := range writes {
		enc.write(&writes[i])
	}
	return enc.err
}

// reaches says whether [key, end) can hold keys with the prefix.
func reaches(key, end []byte, prefix string) bool {
	k, e := string(key), string(end)
	if e == "" {
		return strings.HasPrefix(k, prefix)
	}
	below := strings.HasPrefix(k, prefix) || k < prefix
	return below && (e == "\x00" || e > prefix)
}
