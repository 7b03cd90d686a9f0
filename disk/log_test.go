package disk

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// kernelLog makes a log as dm-log-writes does: flushes have no end marks, and
// headers have no stamps.
func kernelLog(sectorSize int, entries ...[4]uint64) []byte {
	le := binary.LittleEndian
	b := make([]byte, sectorSize)
	le.PutUint64(b[0:], superMagic)
	le.PutUint64(b[8:], 1)
	le.PutUint64(b[16:], uint64(len(entries)))
	le.PutUint32(b[24:], uint32(sectorSize))
	for i, e := range entries {
		head := make([]byte, sectorSize)
		for j, v := range e {
			le.PutUint64(head[8*j:], v)
		}
		b = append(b, head...)
		if Flags(e[2])&(FlagDiscard|FlagMark) == 0 {
			b = append(b, bytes.Repeat([]byte{byte(i + 1)}, int(e[1])*sectorSize)...)
		}
	}
	return b
}

func TestKernelLog(t *testing.T) {
	for _, size := range []int{512, 4096} {
		b := kernelLog(size,
			[4]uint64{0, 1, 0},                                   // covered by the flush
			[4]uint64{1, 1, uint64(FlagMetadata)},                // as this
			[4]uint64{0, 0, uint64(FlagFlush)},                   //
			[4]uint64{2, 1, 0},                                   // not covered
			[4]uint64{3, 1, uint64(FlagFUA)},                     // durable by itself
			[4]uint64{4, 8, uint64(FlagDiscard)},                 // not covered
			[4]uint64{0, 0, uint64(FlagMark), 0},                 //
			[4]uint64{5, 1, uint64(FlagFlush)},                   // covers all before, not itself
			[4]uint64{6, 1, uint64(FlagFlush) | uint64(FlagFUA)}, // the same, and itself
		)
		l, err := OpenLog(bytes.NewReader(b), int64(len(b)))
		must(t, err)
		if l.EndMarks || l.SectorSize != int64(size) || len(l.Entries) != 9 {
			t.Fatalf("read %+v", l)
		}
		for cut, want := range []int{0, 1, 2, 0, 1, 1, 2, 2, 1, 0, 0} {
			if got := len(l.Uncovered(uint64(cut))); got != want {
				t.Errorf("sector size %d, cut at %d: %d uncovered, want %d", size, cut, got, want)
			}
		}
		target := openImage(t, int64(16*size))
		if _, err := Replay(l, target, int64(16*size), 5, Drop, 0, Honest512); err != nil {
			t.Fatal(err)
		}
		got := contents(t, target)
		for i, want := range []byte{1, 2, 0, 5, 0} {
			if got[i*size] != want || got[(i+1)*size-1] != want {
				t.Errorf("sector size %d: sector %d holds %d, want %d", size, i, got[i*size], want)
			}
		}
	}
}

func openImage(t testing.TB, size int64) Target {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	must(t, err)
	t.Cleanup(func() { f.Close() })
	must(t, f.Truncate(size))
	return FileTarget(f)
}

func TestDamagedLogs(t *testing.T) {
	good := kernelLog(512, [4]uint64{0, 1, 0}, [4]uint64{0, 0, uint64(FlagMark), 3})
	change := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return b
	}
	for _, tt := range []struct {
		name string
		log  []byte
		want string
	}{
		{"short", good[:100], "too few"},
		{"magic", change(0, 1), "not a log"},
		{"version", change(8, 2), "version"},
		{"sector size", change(24, 1), "sector size"},
		{"header cut", good[:600], "ends in entry 0"},
		{"data cut", good[:1100], "ends in the data"},
		{"flags", change(512+17, 1), "unknown flags"},
		{"too far", change(512+7, 1), "more than any disk"},
		{"mark", change(3*512+25, 2), "more than its sector"},
		{"count", change(16, 200), "ends in entry 2"},
	} {
		if _, err := OpenLog(bytes.NewReader(tt.log), int64(len(tt.log))); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
	l, err := OpenLog(bytes.NewReader(kernelLog(512, [4]uint64{100, 1, 0})), 1<<20)
	must(t, err)
	if _, err := Replay(l, openImage(t, 4096), 4096, 1, Keep, 0, ""); err == nil || !strings.Contains(err.Error(), "another disk") {
		t.Errorf("a log of a larger disk gives %v", err)
	}
}

// FuzzLog reads anything as a log and replays it: errors are fine, and what is
// uncovered is of the log.
func FuzzLog(f *testing.F) {
	f.Add(kernelLog(512, [4]uint64{0, 1, 0}, [4]uint64{0, 0, 1}, [4]uint64{3, 2, 2}), uint64(3), uint64(1))
	f.Add(kernelLog(4096, [4]uint64{0, 1, 0}, [4]uint64{1, 7, 4}, [4]uint64{0, 0, 8, 9}), uint64(9), uint64(2))
	dir := f.TempDir()
	must(f, Create(Options{Dir: dir, Size: 64 << 10}))
	e, err := Open(Options{Dir: dir})
	must(f, err)
	scribble(f, e, 1, 10)
	e.Cut()
	b, err := os.ReadFile(e.LogPath())
	must(f, err)
	must(f, e.Close())
	f.Add(b, uint64(1000), uint64(3))
	f.Fuzz(func(t *testing.T, b []byte, cut, seed uint64) {
		l, err := OpenLog(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		lost := l.Uncovered(cut)
		if len(lost) > len(l.Entries) {
			t.Fatal("more is uncovered than there is")
		}
		const size = 1 << 20
		for _, policy := range Policies {
			target := &memory{make([]byte, size)}
			c, err := Replay(l, target, size, cut, policy, seed, GarbageSector)
			if err == nil && (c.Uncovered != len(lost) || c.Dropped+c.Torn+c.Kept != c.Uncovered) {
				t.Errorf("%s: the choice %+v does not add up with %d", policy, c, len(lost))
			}
		}
	})
}

// memory is a Target.
type memory struct{ b []byte }

func (m *memory) ReadAt(p []byte, off int64) (int, error)  { return copy(p, m.b[off:]), nil }
func (m *memory) WriteAt(p []byte, off int64) (int, error) { return copy(m.b[off:], p), nil }
func (m *memory) ZeroAt(off, n int64) error                { clear(m.b[off : off+n]); return nil }

// Choose keeps what it promises for every policy, and only that.
func TestChoose(t *testing.T) {
	var lost []Entry
	for i := range uint64(6) {
		lost = append(lost, Entry{Index: i, Sector: 3 + 20*i, Sectors: 13})
	}
	lost = append(lost, Entry{Index: 9, Sector: 5, Sectors: 1 << 24, Flags: FlagDiscard})
	for _, policy := range Policies {
		dropped, kept := map[int]bool{}, map[int]bool{}
		for seed := range uint64(300) {
			pieces, c, err := Choose(lost, policy, seed, Honest4K)
			must(t, err)
			again, c2, _ := Choose(lost, policy, seed, Honest4K)
			if c != c2 || len(again) != len(pieces) {
				t.Fatalf("%s %d is not a function of its arguments", policy, seed)
			}
			dropped[c.Dropped], kept[c.Kept] = true, true
			if policy != Torn && c.Torn > 0 {
				t.Errorf("%s tears", policy)
			}
			for _, p := range pieces {
				for _, at := range []uint64{p.From, p.To} {
					inside := at > 0 && at < p.Entry.Sectors
					if p.From >= p.To || inside && (p.Entry.Sector+at)%8 != 0 {
						t.Fatalf("%s %d: the piece [%d, %d) of %+v is not of whole atoms", policy, seed, p.From, p.To, p.Entry)
					}
				}
			}
		}
		want := map[Policy]int{Drop: 1, Keep: 1, Prefix: 7, Random: 7, Torn: 8}[policy]
		if len(dropped) != want {
			t.Errorf("%s: %d numbers of dropped writes came up, want %d", policy, len(dropped), want)
		}
	}
}
