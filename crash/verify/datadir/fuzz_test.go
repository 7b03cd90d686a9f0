package datadir

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// FuzzSegment reads any bytes as the only, and as the first of two segments.
func FuzzSegment(f *testing.F) {
	m := rungen.Simulate(rungen.Options{Seed: 1, Ops: 40}).Members[0]
	dir := f.TempDir()
	if err := m.Write(dir); err != nil {
		f.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "member", "wal", "*.wal"))
	if err != nil || len(names) == 0 {
		f.Fatal(names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		f.Fatal(err)
	}
	b = bytes.TrimRight(b, "\x00")
	f.Add(b, 0, byte(0))
	f.Add(b, len(b)/2, byte(7))
	f.Fuzz(func(t *testing.T, b []byte, at int, flip byte) {
		b = bytes.Clone(b)
		if at >= 0 && at < len(b) {
			b[at] ^= flip
		}
		for _, last := range []bool{true, false} {
			rep := &Report{}
			w := &walReader{rep: rep, name: "segment", entry: func(e *entry, _ int) {
				_ = eachWrite(e.data, func(_, _ []byte) {}, func(_, _ []byte) {})
			}}
			w.segment(b, last)
			if rep.WAL.Torn && !last {
				t.Fatal("a segment in the middle is torn")
			}
		}
	})
}

// TestEveryFlipInTheLog flips a bit of every byte of an unfinished log. Damage
// is told, or it is the last record's, or it changes nothing that counts: the
// padding of a record and the CRC of the first segment, which nothing precedes.
func TestEveryFlipInTheLog(t *testing.T) {
	r := rungen.Simulate(rungen.Options{Seed: 2, Ops: 30})
	m := r.Members[0]
	dir := t.TempDir()
	if err := m.Write(dir); err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "member", "wal", "*.wal"))
	whole, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	read := func(b []byte) (*Report, []entry) {
		rep := &Report{}
		var got []entry
		w := &walReader{rep: rep, name: "segment", entry: func(e *entry, _ int) {
			got = append(got, entry{e.term, e.index, e.kind, bytes.Clone(e.data)})
		}}
		w.segment(b, true)
		return rep, got
	}
	clean, want := read(bytes.Clone(whole))
	if len(clean.Problems) > 0 || clean.WAL.Torn || clean.WAL.Beyond || len(want) != len(m.Entries) {
		t.Fatalf("%+v, %d entries", clean, len(want))
	}
	silent := 0
	for i := range bytes.TrimRight(whole, "\x00") {
		b := bytes.Clone(whole)
		b[i] ^= 0x04
		rep, got := read(b)
		if len(rep.Problems) > 0 || rep.WAL.Torn || rep.WAL.Beyond {
			continue
		}
		silent++
		if len(got) != len(want) {
			t.Fatalf("byte %d: %d of %d entries, silently", i, len(got), len(want))
		}
		for j := range got {
			if got[j].index != want[j].index || got[j].term != want[j].term || !bytes.Equal(got[j].data, want[j].data) {
				t.Fatalf("byte %d: entry %d changed silently", i, want[j].index)
			}
		}
	}
	if limit := clean.WAL.Records * 16; silent > limit {
		t.Errorf("%d flips go unseen", silent)
	}
}

func FuzzStream(f *testing.F) {
	r := rungen.Simulate(rungen.Options{Seed: 3, Ops: 60, Foreign: 10})
	dir := f.TempDir()
	if err := r.Members[0].Write(dir); err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	if err := inspect(&Query{Dir: dir, Prefix: r.Meta.Prefix, RunID: r.Meta.ID}, &b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decode(bytes.NewReader(b))
		if err != nil {
			return
		}
		for i := range s.Revisions {
			_ = s.Keys[s.Revisions[i].Key]
		}
	})
}

// TestStreamCut says that no prefix of a stream passes for a whole one.
func TestStreamCut(t *testing.T) {
	r := rungen.Simulate(rungen.Options{Seed: 3, Ops: 40})
	dir := t.TempDir()
	if err := r.Members[0].Write(dir); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := inspect(&Query{Dir: dir, Prefix: r.Meta.Prefix, RunID: r.Meta.ID}, &b); err != nil {
		t.Fatal(err)
	}
	for n := range b.Len() {
		if _, err := decode(io.LimitReader(bytes.NewReader(b.Bytes()), int64(n))); err == nil {
			t.Fatalf("%d of %d bytes are read as whole", n, b.Len())
		}
	}
}

func FuzzSnap(f *testing.F) {
	f.Add([]byte{}, uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, b []byte, term, index uint64) { _ = checkSnap(b, term, index) })
}
