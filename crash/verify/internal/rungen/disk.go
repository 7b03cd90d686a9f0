package rungen

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/lease/leasepb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/model"
)

// propose appends what etcd would put into its log for an operation.
func (r *Run) propose(op *history.Op) {
	req := model.Proposal(op)
	req.Header.ID = uint64(len(r.entries))
	data, err := proto.Marshal(req)
	if err != nil {
		panic(err)
	}
	r.entries = append(r.entries, Entry{Term: r.term, Index: r.lastIndex() + 1, Data: data})
}

func (r *Record) bytes() (k, v []byte) {
	k = binary.BigEndian.AppendUint64(make([]byte, 0, 18), uint64(r.Main))
	k = append(k, '_')
	k = binary.BigEndian.AppendUint64(k, uint64(r.Sub))
	kv := &mvccpb.KeyValue{Key: []byte(r.KV.Key)}
	if r.Tombstone {
		k = append(k, 't')
	} else {
		kv.Value, kv.CreateRevision, kv.ModRevision = []byte(r.KV.Value), r.KV.CreateRevision, r.KV.ModRevision
		kv.Version, kv.Lease = r.KV.Version, r.KV.Lease
	}
	v, err := proto.Marshal(kv)
	if err != nil {
		panic(err)
	}
	return k, v
}

// Write makes the run directory.
func (r *Run) Write(dir string) error {
	errs := []error{os.MkdirAll(dir, 0o755), history.WriteRun(dir, &r.Meta), r.writeOps(dir), r.writeWatches(dir), r.writeEvents(dir)}
	if r.Final != nil {
		errs = append(errs, history.WriteFinal(dir, r.Final))
	}
	for i, m := range r.Members {
		data := history.Dir(dir).Data(m.Name)
		errs = append(errs, os.MkdirAll(filepath.Dir(data), 0o755), os.WriteFile(history.Dir(dir).Log(m.Name), []byte(m.Log), 0o644))
		if m.NoData {
			continue
		}
		if i > 0 && m.same(r.Members[0]) && !r.Members[0].NoData {
			errs = append(errs, copyTree(data, history.Dir(dir).Data(r.Members[0].Name)))
			continue
		}
		errs = append(errs, m.Write(data))
	}
	return errors.Join(errs...)
}

// same says that another member's files can be copied: slices are compared by
// identity, since changed ones are clones.
func (m *Member) same(o *Member) bool {
	return len(m.Records) == len(o.Records) && len(m.Entries) == len(o.Entries) &&
		(len(m.Records) == 0 || &m.Records[0] == &o.Records[0]) && (len(m.Entries) == 0 || &m.Entries[0] == &o.Entries[0]) &&
		m.Commit == o.Commit && m.ConsistentIndex == o.ConsistentIndex && m.Term == o.Term && m.Snapshot == o.Snapshot &&
		m.Scheduled == o.Scheduled && m.Finished == o.Finished && maps.Equal(m.Leases, o.Leases)
}

func copyTree(to, from string) error {
	return os.CopyFS(to, os.DirFS(from))
}

func (r *Run) writeOps(dir string) error {
	return create(filepath.Join(dir, history.FileOps), func(f io.Writer) error {
		w, err := history.NewWriter(f)
		for i := range r.Ops {
			err = errors.Join(err, w.Append(&r.Ops[i]))
		}
		if r.NoEnd {
			return errors.Join(err, w.Flush())
		}
		return errors.Join(err, w.Close())
	})
}

func (r *Run) writeWatches(dir string) error {
	if len(r.Watches) == 0 {
		return nil
	}
	return create(filepath.Join(dir, history.FileWatches), func(f io.Writer) error {
		w, err := history.NewWatchWriter(f)
		for i := range r.Watches {
			err = errors.Join(err, w.Append(&r.Watches[i]))
		}
		return errors.Join(err, w.Close())
	})
}

func (r *Run) writeEvents(dir string) error {
	return create(filepath.Join(dir, history.FileEvents), func(f io.Writer) error {
		for i := range r.Events {
			if err := history.AppendEvent(f, &r.Events[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func create(path string, fill func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(fill(f), f.Close())
}

// Write makes the member's data directory.
func (m *Member) Write(data string) error {
	snapDir := filepath.Join(data, "member", "snap")
	if err := os.MkdirAll(snapDir, 0o755); err != nil {
		return err
	}
	if err := m.writeDB(filepath.Join(snapDir, "db")); err != nil {
		return fmt.Errorf("db of %s: %w", m.Name, err)
	}
	if m.Snapshot > 0 {
		s := &raftpb.Snapshot{Data: []byte("{}"), Metadata: &raftpb.SnapshotMetadata{
			Index: &m.Snapshot, Term: proto.Uint64(2), ConfState: &raftpb.ConfState{Voters: []uint64{1}},
		}}
		if err := snap.New(zap.NewNop(), snapDir).SaveSnap(s); err != nil {
			return err
		}
	}
	return m.writeWAL(filepath.Join(data, "member", "wal"))
}

func (m *Member) writeDB(path string) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true, NoGrowSync: true, NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return err
	}
	const batch = 100_000 // nodes of a bbolt transaction are on the heap
	for from := 0; from == 0 || from < len(m.Records); from += batch {
		err := db.Update(func(tx *bolt.Tx) error {
			for _, name := range []string{"key", "meta", "alarm", "auth", "cluster", "lease", "members"} {
				if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
					return err
				}
			}
			keys := tx.Bucket([]byte("key"))
			keys.FillPercent = 0.9
			for i := from; i < min(from+batch, len(m.Records)); i++ {
				k, v := m.Records[i].bytes()
				if err := keys.Put(k, v); err != nil {
					return err
				}
			}
			for id, ttl := range m.Leases {
				v, err := proto.Marshal(&leasepb.Lease{ID: id, TTL: ttl})
				if err == nil {
					err = tx.Bucket([]byte("lease")).Put(binary.BigEndian.AppendUint64(nil, uint64(id)), v)
				}
				if err != nil {
					return err
				}
			}
			return m.writeMeta(tx.Bucket([]byte("meta")))
		})
		if err != nil {
			return errors.Join(err, db.Close())
		}
	}
	return db.Close()
}

func (m *Member) writeMeta(meta *bolt.Bucket) error {
	u64 := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	rev := func(n int64) []byte { return append(append(u64(uint64(n)), '_'), make([]byte, 8)...) }
	errs := []error{meta.Put([]byte("consistent_index"), u64(m.ConsistentIndex)), meta.Put([]byte("term"), u64(m.Term))}
	if m.Scheduled > 0 {
		errs = append(errs, meta.Put([]byte("scheduledCompactRev"), rev(m.Scheduled)))
	}
	if m.Finished > 0 {
		errs = append(errs, meta.Put([]byte("finishedCompactRev"), rev(m.Finished)))
	}
	return errors.Join(errs...)
}

func (m *Member) writeWAL(dir string) error {
	w, err := wal.Create(zap.NewNop(), dir, []byte("metadata"))
	if err != nil {
		return err
	}
	w.SetUnsafeNoFsync()
	save := func(entries []Entry, commit uint64) error {
		ents := make([]*raftpb.Entry, len(entries))
		term := uint64(1)
		for i := range entries {
			e := &entries[i]
			ents[i] = &raftpb.Entry{Term: &e.Term, Index: &e.Index, Data: e.Data}
			term = e.Term
		}
		return w.Save(&raftpb.HardState{Term: &term, Commit: &commit}, ents)
	}
	for from := 0; from < len(m.Entries) && err == nil; from += 50 {
		part := m.Entries[from:min(from+50, len(m.Entries))]
		last := part[len(part)-1].Index
		err = save(part, min(last, m.Commit))
		if err == nil && m.Snapshot > 0 && part[0].Index <= m.Snapshot && m.Snapshot <= last {
			err = w.SaveSnapshot(&walpb.Snapshot{Index: &m.Snapshot, Term: proto.Uint64(2), ConfState: &raftpb.ConfState{Voters: []uint64{1}}})
		}
	}
	return errors.Join(err, w.Close())
}

// Propose adds an operation's entry to the log of every member, applied.
func (r *Run) Propose(op history.Op) {
	r.propose(&op)
	for _, m := range r.Members {
		m.Entries = r.entries
		m.Commit, m.ConsistentIndex = r.lastIndex(), m.ConsistentIndex+1
	}
}
