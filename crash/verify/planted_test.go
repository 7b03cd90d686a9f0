package verify

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	gproto "google.golang.org/protobuf/proto"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// crime is a copy of a recorded run directory into which a violation is put.
// Files are shared with the original until they are changed.
type crime struct {
	t     *testing.T
	dir   string
	run   *history.Run
	store *datadir.Store // of the first member, as recorded
	Ops   []history.Op   // as recorded; writeOps stores them
}

func commit(t *testing.T, original string, store *datadir.Store) *crime {
	p := &crime{t: t, dir: filepath.Join(t.TempDir(), "run"), store: store}
	err := filepath.WalkDir(original, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(original, path)
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(p.dir, rel), 0o755)
		}
		return os.Link(path, filepath.Join(p.dir, rel))
	})
	p.must(err)
	p.run, err = history.ReadRun(p.dir)
	p.must(err)
	p.Ops = readOps(t, p.dir)
	return p
}

func (p *crime) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func readOps(t *testing.T, dir string) (ops []history.Op) {
	f, err := os.Open(filepath.Join(dir, history.FileOps))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := history.NewReader(f)
	for err == nil {
		var op history.Op
		if err = r.Next(&op); err == nil {
			ops = append(ops, op)
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return ops
}

// replace writes a file anew, leaving the original that it is linked to alone.
func (p *crime) replace(name string, fill func(io.Writer) error) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	p.must(os.Remove(path))
	f, err := os.Create(path)
	p.must(err)
	p.must(errors.Join(fill(f), f.Close()))
}

func (p *crime) writeOps() {
	p.replace(history.FileOps, func(f io.Writer) error {
		w, err := history.NewWriter(f)
		for i := range p.Ops {
			err = errors.Join(err, w.Append(&p.Ops[i]))
		}
		return errors.Join(err, w.Close())
	})
}

// recorded is what watchers were told.
func (p *crime) recorded() (recs []history.WatchRecord) {
	p.t.Helper()
	f, err := os.Open(filepath.Join(p.dir, history.FileWatches))
	p.must(err)
	defer f.Close()
	r, err := history.NewWatchReader(f)
	p.must(err)
	for {
		var rec history.WatchRecord
		if err := r.Next(&rec); errors.Is(err, io.EOF) {
			return recs
		} else {
			p.must(err)
		}
		recs = append(recs, rec)
	}
}

// watches changes what watchers were told.
func (p *crime) watches(change func([]history.WatchRecord) []history.WatchRecord) {
	p.t.Helper()
	recs := change(p.recorded())
	p.replace(history.FileWatches, func(f io.Writer) error {
		w, err := history.NewWatchWriter(f)
		for i := range recs {
			err = errors.Join(err, w.Append(&recs[i]))
		}
		return errors.Join(err, w.Close())
	})
}

func (p *crime) final(change func(*history.Final)) {
	f, err := history.ReadFinal(p.dir)
	p.must(err)
	change(f)
	p.must(history.WriteFinal(p.dir, f))
}

func (p *crime) events(change func([]history.Event) []history.Event) {
	events, err := history.ReadEvents(p.dir)
	p.must(err)
	events = change(events)
	p.replace(history.FileEvents, func(f io.Writer) error {
		for i := range events {
			if err := history.AppendEvent(f, &events[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// dataFile is a member's file, relative to the run directory.
func dataFile(member string, names ...string) string {
	return filepath.Join(append([]string{history.DirMembers, member, "data", "member"}, names...)...)
}

// bytes changes a member's file; its preallocated zeroes become a hole.
func (p *crime) bytes(name string, change func([]byte)) {
	b, err := os.ReadFile(filepath.Join(p.dir, name))
	p.must(err)
	change(b)
	used := len(b)
	for used > 0 && b[used-1] == 0 {
		used--
	}
	p.replace(name, func(f io.Writer) error {
		_, err := f.Write(b[:used])
		return errors.Join(err, f.(*os.File).Truncate(int64(len(b))))
	})
}

// db changes the db of one member, or of all for "".
func (p *crime) db(member string, change func(tx *bolt.Tx) error) {
	p.t.Helper()
	for _, m := range p.run.Members {
		if member != "" && member != m.Name {
			continue
		}
		name := dataFile(m.Name, "snap", "db")
		p.bytes(name, func([]byte) {})
		p.must(updateDB(filepath.Join(p.dir, name), change))
	}
}

// updateDB changes a member's db in place.
func updateDB(path string, change func(tx *bolt.Tx) error) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true, NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return err
	}
	return errors.Join(db.Update(change), db.Close())
}

// records changes the records of the key bucket that a function picks; nil
// removes one.
func (p *crime) records(member string, change func(main, sub int64, kv *mvccpb.KeyValue) *mvccpb.KeyValue) {
	p.t.Helper()
	changed := 0
	p.db(member, func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("key"))
		var keys [][]byte
		var values []*mvccpb.KeyValue
		err := b.ForEach(func(k, v []byte) error {
			kv := new(mvccpb.KeyValue)
			if err := gproto.Unmarshal(v, kv); err != nil {
				return err
			}
			was := gproto.Clone(kv)
			kv = change(int64(binary.BigEndian.Uint64(k)), int64(binary.BigEndian.Uint64(k[9:])), kv)
			if kv == nil || !gproto.Equal(kv, was) {
				keys, values = append(keys, slices.Clone(k)), append(values, kv)
			}
			return nil
		})
		for i, k := range keys {
			changed++
			if values[i] == nil {
				err = errors.Join(err, b.Delete(k))
				continue
			}
			v, bad := gproto.Marshal(values[i])
			err = errors.Join(err, bad, b.Put(k, v))
		}
		return err
	})
	if changed == 0 {
		p.t.Fatal("no record was changed")
	}
}

// drop removes the records of a revision.
func (p *crime) drop(member string, rev int64) {
	p.records(member, func(main, _ int64, kv *mvccpb.KeyValue) *mvccpb.KeyValue {
		if main == rev {
			return nil
		}
		return kv
	})
}

// add puts records at a revision of every member.
func (p *crime) add(rev int64, kvs ...*mvccpb.KeyValue) {
	p.db("", func(tx *bolt.Tx) error {
		for i, kv := range kvs {
			k := append(binary.BigEndian.AppendUint64(nil, uint64(rev)), '_')
			k = binary.BigEndian.AppendUint64(k, uint64(i))
			v, err := gproto.Marshal(kv)
			if err := errors.Join(err, tx.Bucket([]byte("key")).Put(k, v)); err != nil {
				return err
			}
		}
		return nil
	})
	p.final(func(f *history.Final) {
		for i := range f.Members {
			f.Members[i].Revision = max(f.Members[i].Revision, rev)
		}
	})
}

func (p *crime) compacted() int64 { return p.store.Report.DB.Compacted() }
func (p *crime) head() int64      { return p.store.Report.DB.Revision }

// where is on which side of the compaction an operation is looked for.
type where int

const (
	anywhere where = iota // where only the history is changed
	above                 // where the store is
	below
)

// find gives the last acknowledged operation of a kind.
func (p *crime) find(what string, w where, want func(*history.Op) bool) *history.Op {
	p.t.Helper()
	for i := len(p.Ops) * 19 / 20; i >= 0; i-- {
		o := &p.Ops[i]
		if o.Outcome == history.OK && (w == anywhere || (o.Revision > p.compacted()) == (w == above)) && want(o) {
			return o
		}
	}
	p.t.Fatalf("the recorded run has no %s", what)
	return nil
}

func alone(verb history.Verb, more func(*history.Op) bool) func(*history.Op) bool {
	return func(o *history.Op) bool {
		return o.Kind == history.KindKV && o.Then[0].Verb == verb && (more == nil || more(o))
	}
}

func (p *crime) aPut() *history.Op {
	return p.find("put", above, alone(history.Put, func(o *history.Op) bool { return o.Then[0].Lease == 0 }))
}

// aGet is a linearizable read of one key that was there and had been written
// more than once.
func (p *crime) aGet(w where) *history.Op {
	return p.find("get", w, alone(history.Range, func(o *history.Op) bool {
		q := &o.Then[0]
		return q.End == "" && q.Revision == 0 && !q.Serializable && !q.KeysOnly && !q.CountOnly && len(o.Results[0].KVs) == 1 && o.Results[0].KVs[0].Version > 1
	}))
}

// segment is the member's WAL segment before the last one, or the last.
func (p *crime) segment(member string) string {
	files, err := filepath.Glob(filepath.Join(p.dir, dataFile(member, "wal"), "*.wal"))
	p.must(err)
	slices.Sort(files)
	return dataFile(member, "wal", filepath.Base(files[len(files)-1]))
}

// walFrames gives where the frames of a WAL segment begin, and where they end.
func walFrames(b []byte) (at []int) {
	for pos := 0; ; {
		at = append(at, pos)
		head := binary.LittleEndian.Uint64(b[pos:])
		if head == 0 {
			return at
		}
		size := int(head &^ (0xff << 56))
		if int64(head) < 0 {
			size += int(head >> 56 & 7)
		}
		pos += 8 + size
	}
}
