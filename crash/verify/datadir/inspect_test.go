package datadir

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/etcd/server/v3/storage/wal"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// TestMain lets the test binary be its own child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "inspect-data" {
		os.Exit(ChildMain(os.Args[2:], os.Stdout, os.Stderr))
	}
	wal.SegmentSizeBytes = 64 << 10 // several segments in a small log
	os.Exit(m.Run())
}

func child(t testing.TB) []string {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{exe, "inspect-data"}
}

// written gives a run and the first member's data directory.
func written(t testing.TB, o rungen.Options) (*rungen.Run, string) {
	t.Helper()
	r := rungen.Simulate(o)
	dir := t.TempDir()
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	return r, history.Dir(dir).Data("m1")
}

func query(r *rungen.Run, data string) Query {
	return Query{Dir: data, Prefix: r.Meta.Prefix, RunID: r.Meta.ID, HashRevision: r.Final.Members[0].HashRevision}
}

func TestInspectClean(t *testing.T) {
	r, data := written(t, rungen.Options{Seed: 1, Ops: 1500, Base: 20, Foreign: 5})
	for name, exe := range map[string][]string{"here": nil, "child": child(t)} {
		t.Run(name, func(t *testing.T) {
			s, err := Inspect(context.Background(), exe, query(r, data))
			if err != nil {
				t.Fatal(err)
			}
			m := r.Members[0]
			if len(s.Report.Problems) > 0 || s.Report.DB.Error != "" {
				t.Fatalf("%+v", s.Report)
			}
			if len(s.Revisions) != len(m.Records) {
				t.Fatalf("%d revisions, want %d", len(s.Revisions), len(m.Records))
			}
			for i, rev := range s.Revisions {
				w := &m.Records[i]
				if rev.Main != w.Main || int64(rev.Sub) != w.Sub || rev.Is(Tombstone) != w.Tombstone || s.Keys[rev.Key] != w.KV.Key {
					t.Fatalf("revision %d: %+v, want %+v", i, rev, w)
				}
				if rev.Is(Foreign) || rev.Is(Tombstone) {
					continue
				}
				if !rev.Is(Named) || rev.Value != Hash(w.KV.Value) || rev.Create != w.KV.CreateRevision || rev.Version != w.KV.Version || rev.Is(BadMod) {
					t.Fatalf("revision %d: %+v, want %+v", i, rev, w)
				}
			}
			db, log := s.Report.DB, s.Report.WAL
			if f := r.Final.Members[0]; db.Hash != f.Hash || db.Revision != f.Revision {
				t.Errorf("hash %x at %d, want %x at %d", db.Hash, db.Revision, f.Hash, f.Revision)
			}
			last := m.Entries[len(m.Entries)-1]
			if db.ConsistentIndex != last.Index || log.Last != last.Index || log.LastTerm != last.Term || log.Commit != m.Commit || log.First != 1 || log.Torn || log.Beyond {
				t.Errorf("db %+v\nwal %+v", db, log)
			}
			if log.Segments < 2 || len(log.Snapshots) != 2 || len(s.Report.Snaps) != 1 || s.Report.Snaps[0].Error != "" {
				t.Errorf("wal %+v, snaps %+v", log, s.Report.Snaps)
			}
		})
	}
}

// TestPendingWrites stops the db short of the log: what is beyond must be told.
func TestPendingWrites(t *testing.T) {
	r := rungen.Simulate(rungen.Options{Seed: 2})
	m := r.Members[0]
	m.ConsistentIndex -= 40
	dir := t.TempDir()
	if err := m.Write(dir); err != nil {
		t.Fatal(err)
	}
	s, err := Inspect(context.Background(), nil, query(r, dir))
	if err != nil {
		t.Fatal(err)
	}
	puts := 0
	for _, w := range s.Writes {
		if w.Pending != (w.Index > m.ConsistentIndex) {
			t.Errorf("%+v is wrong about pending", w)
		}
		if !w.Delete {
			puts++
			if !w.Named || w.Op == 0 {
				t.Errorf("%+v has no name", w)
			}
		}
	}
	if puts == 0 || puts > 80 {
		t.Errorf("%d pending puts", puts)
	}
}

func TestMissing(t *testing.T) {
	r, data := written(t, rungen.Options{Seed: 3, Ops: 100})
	for name, brk := range map[string]func() error{
		"no db":    func() error { return os.Remove(filepath.Join(data, dbName)) },
		"empty db": func() error { return os.WriteFile(filepath.Join(data, dbName), nil, 0o600) },
		"no wal":   func() error { return os.RemoveAll(filepath.Join(data, "member", "wal")) },
	} {
		if err := brk(); err != nil {
			t.Fatal(err)
		}
		s, err := Inspect(context.Background(), child(t), query(r, data))
		if err != nil || len(s.Report.Problems) == 0 {
			t.Errorf("%s: %v, %+v", name, err, s.Report.Problems)
		}
	}
}

func TestChildThatCannotStart(t *testing.T) {
	_, err := Inspect(context.Background(), []string{"/nonexistent/etcdlab"}, Query{Dir: t.TempDir()})
	if err == nil {
		t.Fatal("no error")
	}
	if _, err := Inspect(context.Background(), []string{"/bin/false"}, Query{Dir: t.TempDir()}); err == nil {
		t.Fatal("no error")
	}
}
