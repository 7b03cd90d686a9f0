package fsck

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// patch changes bytes of a file in place, and gives what puts them back.
func patch(t testing.TB, path string, off int64, with []byte) (undo func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	was := make([]byte, len(with))
	if _, err := f.ReadAt(was, off); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(was, with) {
		t.Fatalf("%s holds that already at byte %d", path, off)
	}
	if _, err := f.WriteAt(with, off); err != nil {
		t.Fatal(err)
	}
	return func() {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err == nil {
			_, err = f.WriteAt(was, off)
			_ = f.Close()
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func at(t testing.TB, path string, off int64, n int) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, n)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	return b
}

func flip(t testing.TB, path string, off int64, bits byte) (undo func()) {
	b := at(t, path, off, 1)
	return patch(t, path, off, []byte{b[0] ^ bits})
}

// layout is where the live things of a data directory are.
type layout struct {
	db       string
	store    *store
	log      *raftLog
	branches []int64 // offsets of pages
	leaves   []int64
	meta     [2]uint64 // transactions
	bytes    []int64   // offsets of all bytes of db elements in use: headers, elements, keys and values
}

func lay(t testing.TB, dir string) *layout {
	t.Helper()
	l := &layout{db: filepath.Join(dir, dbFile), store: newStore()}
	l.store.problem = func(kind string, _ uint64, off int64, format string, args ...any) {
		t.Fatalf("%s at %d: %s", kind, off, fmt.Sprintf(format, args...))
	}
	f, err := os.Open(l.db)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := &walker{visit: l.store.visit, found: func(p datadir.Problem) { t.Fatalf("%+v", p) }}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := w.walk(f, info.Size()); err != nil || !ok {
		t.Fatal(ok, err)
	}
	for id := uint64(2); id < w.f.high; id++ {
		if w.seen[id/64]&(1<<(id%64)) == 0 {
			continue
		}
		p, _, err := w.f.page(id, nil)
		if err != nil {
			t.Fatal(err)
		}
		if p.flags == flagBranch {
			l.branches = append(l.branches, p.off)
		} else {
			l.leaves = append(l.leaves, p.off)
		}
		els, bad := p.elements()
		if bad != nil {
			t.Fatal(bad)
		}
		end := int64(pageHead)
		for _, e := range els {
			end = max(end, e.at+int64(len(e.key)+len(e.value)))
		}
		for i := range end {
			l.bytes = append(l.bytes, p.off+i)
		}
		id += uint64(len(p.b))/uint64(w.f.pageSize) - 1
	}
	for i := range l.meta {
		l.meta[i] = binary.LittleEndian.Uint64(at(t, l.db, int64(i)*w.f.pageSize+pageHead+48, 8))
	}
	if l.log, err = readLog(dir); err != nil {
		t.Fatal(err)
	}
	return l
}

func segments(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "member", "wal", "*.wal"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	sort.Strings(paths)
	return paths
}

// frames are the offsets of the records of a WAL segment, and of its end.
func frames(t testing.TB, path string) (at []int64, end int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for end+8 <= int64(len(b)) {
		size := binary.LittleEndian.Uint64(b[end:])
		if size == 0 {
			break
		}
		at = append(at, end)
		end += 8 + int64(size&(1<<56-1))
		if int64(size) < 0 {
			end += int64(size >> 56 & 7)
		}
	}
	return at, end
}

// wanted is the finding that a damage must lead to.
type wanted struct {
	file string // end of its name
	kind string
	from int64 // the offset told is between these
	to   int64
	text string
}

func (w *wanted) in(r *Result) bool {
	for _, p := range r.Problems {
		if strings.HasSuffix(p.File, w.file) && p.Kind == w.kind && strings.Contains(p.Message, w.text) &&
			p.Offset != nil && *p.Offset >= w.from && *p.Offset <= w.to {
			return true
		}
	}
	return false
}

// prepare makes a data directory with everything in it.
func prepare(t testing.TB, version string, sig syscall.Signal, large int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	s := start(t, version, dir, "--snapshot-count=400")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s.load(ctx, 1, 300)
	value := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for i := range large {
		if _, err := s.client.Put(ctx, fmt.Sprintf("large/%d", i%3), fmt.Sprint(i)+string(value[:1<<20-8])); err != nil {
			t.Fatal(err)
		}
	}
	if large > 0 { // or there would be no small ones left in the last segment
		if _, err := s.client.Compact(ctx, mustRevision(t, s.client)-3); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		if _, err := s.client.Put(ctx, fmt.Sprintf("plain/%d", i%20), fmt.Sprintf("value-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(300 * time.Millisecond) // for the backend's batch to be committed
	s.stop(sig)
	if r := check(t, dir); r.Verdict != Pass {
		t.Fatalf("not clean: %+v", r)
	}
	return dir
}

func mustRevision(t testing.TB, c *clientv3.Client) int64 {
	t.Helper()
	g, err := c.Get(t.Context(), "up")
	if err != nil {
		t.Fatal(err)
	}
	return g.Header.Revision
}

// TestDamage plants every kind of damage into directories of real etcds.
func TestDamage(t *testing.T) {
	for i, version := range releases {
		t.Run(version, func(t *testing.T) {
			sig, large := syscall.SIGKILL, 0
			if i == 0 {
				sig = syscall.SIGTERM
			}
			if i == len(releases)-1 {
				large = 150 // of 1 MiB: middle segments
			}
			dir := prepare(t, version, sig, large)
			l := lay(t, dir)
			t.Run("db", func(t *testing.T) { damageDB(t, dir, l) })
			t.Run("log", func(t *testing.T) { damageLog(t, dir, l) })
			t.Run("snapshot", func(t *testing.T) { damageSnap(t, dir) })
			if r := check(t, dir); r.Verdict != Pass {
				t.Fatalf("not as it was: %+v", r)
			}
		})
	}
}

func expect(t *testing.T, name, dir string, undo func(), want wanted) {
	t.Helper()
	defer undo()
	r := check(t, dir)
	if r.Verdict != Fail || !want.in(r) {
		t.Errorf("%s: want %+v\ngot %s", name, want, show(r))
	}
	if len(r.Recoverable) == 0 {
		t.Errorf("%s: nothing is said of what can be recovered", name)
	}
}

func show(r *Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %q\n", r.Verdict, r.Doubts, r.Notes)
	for _, p := range r.Problems {
		off := int64(-1)
		if p.Offset != nil {
			off = *p.Offset
		}
		fmt.Fprintf(&b, "  %s [%s] %d: %s\n", p.File, p.Kind, off, p.Message)
	}
	return b.String()
}

func damageDB(t *testing.T, dir string, l *layout) {
	newest := int64(0)
	if l.meta[1] > l.meta[0] {
		newest = 1
	}
	if len(l.branches) == 0 || len(l.leaves) < 4 {
		t.Fatalf("%d branch pages, %d leaf pages", len(l.branches), len(l.leaves))
	}
	leaf := l.store.records[len(l.store.records)/2].off / 4096 * 4096
	for _, pg := range l.leaves {
		if pg <= l.store.records[len(l.store.records)/2].off {
			leaf = pg
		}
	}
	branch := l.branches[len(l.branches)-1]
	in := func(kind string, page int64, text string) wanted {
		return wanted{dbFile, kind, page, page + 4095, text}
	}
	for name, c := range map[string]struct {
		off  int64
		bits byte
		want wanted
	}{
		"newest meta, magic":    {newest*4096 + 16, 1, in("meta", newest*4096, "magic")},
		"newest meta, root":     {newest*4096 + 32, 4, in("meta", newest*4096, "checksum")},
		"newest meta, checksum": {newest*4096 + 72, 0x80, in("meta", newest*4096, "checksum")},
		"older meta, txid":      {(1-newest)*4096 + 64, 1, in("meta", (1-newest)*4096, "checksum")},
		"older meta, flags":     {(1-newest)*4096 + 8, 1, in("meta", (1-newest)*4096, "flags")},
		"leaf, id":              {leaf, 1, in("leaf", leaf, "it says that it is page")},
		"leaf, flags":           {leaf + 8, 0x40, in("page", leaf, "no kind of page")},
		"leaf made a branch":    {leaf + 8, 3, in("branch", leaf, "element 0")},
		"leaf, count":           {leaf + 10, 1, in("leaf", leaf, "element 0 points")},
		"leaf, overflow":        {leaf + 14, 0x40, in("leaf", leaf, "overflow pages")},
		"leaf, position":        {leaf + 16 + 4, 0x10, in("leaf", leaf, "element 0 points")},
		"leaf, key size":        {leaf + 16 + 8, 1, in("leaf", leaf, "element 1 points")},
		"leaf, value size":      {leaf + 16 + 12 + 3, 0x40, in("leaf", leaf, "reaches beyond")},
		"branch, id":            {branch + 1, 1, in("branch", branch, "it says that it is page")},
		"branch, count":         {branch + 10, 1, in("branch", branch, "element 0 points")},
		"branch, position":      {branch + 16, 0x10, in("branch", branch, "element 0 points")},
		"branch, key size":      {branch + 16 + 4, 2, in("branch", branch, "")},
		"branch, key":           {branch + 16 + int64(binary.LittleEndian.Uint32(at(t, l.db, branch+16, 4))), 0x40, in("branch", branch, "out of order")},
	} {
		expect(t, name, dir, flip(t, l.db, c.off, c.bits), c.want)
	}
	// A child that leads elsewhere is told where it leads to.
	child := binary.LittleEndian.Uint64(at(t, l.db, branch+16+8, 8))
	other := binary.LittleEndian.Uint64(at(t, l.db, branch+16+16+8, 8))
	for _, to := range []uint64{other, 1, child + 1<<40} {
		undo := patch(t, l.db, branch+16+8, binary.LittleEndian.AppendUint64(nil, to))
		r := check(t, dir)
		if undo(); r.Verdict != Fail || !strings.Contains(show(r), fmt.Sprint("branch page ", branch/4096)) {
			t.Errorf("child %d for %d: %s", to, child, show(r))
		}
	}

	// An index that is too old or too new.
	for back, want := range map[uint64]string{60: "a second time", 1 << 63: "ends at entry"} {
		b := binary.BigEndian.AppendUint64(nil, l.store.index-back)
		undo := patch(t, l.db, l.store.indexOff+int64(len("consistent_index")), b)
		r := check(t, dir)
		if undo(); r.Verdict != Fail || !strings.Contains(show(r), want) {
			t.Errorf("an index %d older: %s", back, show(r))
		}
	}

	// Values: the last byte of a record of a put that the log still has.
	matched := check(t, dir).Facts
	for n := range 5 {
		i := len(l.store.records) - 1 - n*11
		for i > 0 && (l.store.records[i].tombstone || !strings.HasPrefix(l.store.keys[l.store.records[i].key], "plain/")) {
			i--
		}
		rec := &l.store.records[i]
		if rec.main <= max(rec.create, l.store.compacted()) || rec.main < matched.MatchedFrom {
			continue
		}
		b := at(t, l.db, rec.off, 100)
		end := int64(bytes.LastIndex(b[:bytes.Index(b, []byte("value-"))+7], []byte("value-")))
		expect(t, fmt.Sprintf("value of revision %d", rec.main), dir, flip(t, l.db, rec.off+end+6, 1),
			wanted{dbFile, "value", rec.off, rec.off, fmt.Sprintf("revision %d of key %s has another value than was put; see entry", rec.main, l.store.name(rec.key))})
		expect(t, fmt.Sprintf("key of revision %d", rec.main), dir, flip(t, l.db, rec.off+17+2, 1),
			wanted{dbFile, "version", 0, 1 << 40, ""})
	}
}

func damageLog(t *testing.T, dir string, l *layout) {
	paths := segments(t, dir)
	t.Logf("%d segments", len(paths))
	for i, path := range paths {
		if i > 0 && i < len(paths)-2 {
			continue
		}
		last := i == len(paths)-1
		at, _ := frames(t, path)
		mid := at[len(at)/2]
		base := filepath.Base(path)
		want := func(text string) wanted { return wanted{base, datadir.KindRecord, mid, mid, text} }
		name := func(s string) string { return fmt.Sprintf("segment %d of %d, %s", i+1, len(paths), s) }
		expect(t, name("body"), dir, flip(t, path, mid+8+20, 0x20), want("is damaged"))
		expect(t, name("CRC"), dir, flip(t, path, mid+8+3, 0x20), want("is damaged"))
		expect(t, name("length"), dir, flip(t, path, mid, 0x08), want("is damaged"))
		expect(t, name("length, far"), dir, flip(t, path, mid+5, 0x40), want("beyond the file"))
		expect(t, name("length of zero"), dir, patch(t, path, mid, make([]byte, 8)), want("length is zero"))
		if !last {
			continue
		}
		final := at[len(at)-1]
		mid = final
		expect(t, name("body of the last record"), dir, flip(t, path, final+8+3, 0x20), want("is damaged"))
		expect(t, name("length of the last record"), dir, flip(t, path, final+5, 0x40), want("beyond the file"))
	}
}

func damageSnap(t *testing.T, dir string) {
	paths, err := filepath.Glob(filepath.Join(dir, "member", "snap", "*.snap"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	sort.Strings(paths)
	newest := paths[len(paths)-1]
	info, err := os.Stat(newest)
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{3, info.Size() / 2, info.Size() - 1} {
		expect(t, fmt.Sprintf("snapshot at %d", off), dir, flip(t, newest, off, 0x10), wanted{filepath.Base(newest), datadir.KindSnapshot, 0, 0, "is damaged"})
	}
	// One that is left over is no damage.
	left := filepath.Join(dir, "member", "snap", "00000000000000ff.snap.db")
	if err := os.WriteFile(left, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := check(t, dir)
	if err := os.Remove(left); err != nil {
		t.Fatal(err)
	}
	if r.Verdict != Pass || len(r.Notes) == 0 {
		t.Error(show(r))
	}
}
