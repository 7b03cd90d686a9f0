package fsck

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// TestFlips flips single bits in what the db and the log use, and counts those
// that are found. ETCDLAB_FLIPS is how many, to measure the rate of docs/fsck.md.
func TestFlips(t *testing.T) {
	n := 20
	if s := os.Getenv("ETCDLAB_FLIPS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	dir := prepare(t, "v3.7.3", syscall.SIGKILL, 0)
	l := lay(t, dir)
	facts := check(t, dir).Facts
	r := rand.New(rand.NewPCG(1, 2))
	found := 0
	missed := map[string]int{}
	for range n {
		off := l.bytes[r.IntN(len(l.bytes))]
		undo := flip(t, l.db, off, 1<<r.IntN(8))
		res := check(t, dir)
		undo()
		if res.Verdict != Pass {
			found++
			continue
		}
		what := l.what(off)
		if what == "record" {
			// Only the log can tell, above the compaction and where it reaches.
			rec := l.recordAt(off)
			if rec.main > facts.Compacted && rec.main >= facts.MatchedFrom {
				t.Errorf("a flip of byte %d in revision %d is not found", off, rec.main)
			}
			what = "record that the compaction left"
		}
		missed[what]++
	}
	t.Logf("db: %d of %d flips found; not found: %v; %d of %d records compared with the log", found, n, missed, facts.Matched, facts.Records)

	path := segments(t, dir)[0]
	_, end := frames(t, path)
	found, quiet := 0, 0
	for range n {
		off := r.Int64N(end)
		undo := flip(t, path, off, 1<<r.IntN(8))
		res := check(t, dir)
		log, err := readLog(dir)
		undo()
		if res.Verdict != Pass {
			found++
			continue
		}
		quiet++
		if err != nil || !slices.EqualFunc(log.entries, l.log.entries, func(a, b logEntry) bool {
			return a.index == b.index && a.term == b.term && a.kind == b.kind && a.digest == b.digest
		}) {
			t.Errorf("a flip of byte %d of the log changes an entry, and is not found", off)
		}
		if len(res.Notes) > 0 {
			t.Errorf("a flip of byte %d of the log is taken for an honest tear: %q", off, res.Notes)
		}
	}
	t.Logf("log: %d of %d flips found, %d in padding", found, n, quiet)
}

// recordAt is the record of the key bucket that a byte is of.
func (l *layout) recordAt(off int64) (last *record) {
	for i := range l.store.records {
		if r := &l.store.records[i]; r.off <= off && (last == nil || r.off > last.off) {
			last = r
		}
	}
	return last
}

// what is at a byte of the db.
func (l *layout) what(off int64) string {
	page := off / 4096 * 4096
	for _, b := range l.branches {
		if b == page {
			return "branch"
		}
	}
	if rec := l.recordAt(off); rec != nil && rec.off/4096 == off/4096 {
		return "record"
	}
	return "other bucket"
}

// TestTorn tears the last record as a crash does: it is said and no damage.
func TestTorn(t *testing.T) {
	for range 5 {
		dir := filepath.Join(t.TempDir(), "data")
		s := start(t, "v3.7.3", dir)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		s.load(ctx, 1, 20)
		time.Sleep(300 * time.Millisecond)
		if _, err := s.client.Put(ctx, "torn", strings.Repeat("torn", 1000)); err != nil {
			t.Fatal(err)
		}
		cancel()
		s.stop(syscall.SIGKILL)
		l := lay(t, dir)
		last := l.log.entries[len(l.log.entries)-1]
		if l.store.index >= last.index || last.op == nil || last.op.key != "torn" {
			continue // the db was faster
		}
		path := filepath.Join(dir, l.log.files[last.file])
		_, end := frames(t, path)
		from := (last.off/512 + 2) * 512
		patch(t, path, from, make([]byte, end-from))
		r := check(t, dir)
		if r.Verdict != Pass || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "not written to its end") {
			t.Errorf("torn: %s", show(r))
		}
		// The same with whole bytes that cannot have been written after it.
		undo := patch(t, path, end+4096, []byte("garbage"))
		if r := check(t, dir); r.Verdict != Inconclusive {
			t.Errorf("torn, and more: %s", show(r))
		}
		undo()
		flip(t, path, last.off+5, 0x40) // a length that no tear leaves
		if r := check(t, dir); r.Verdict != Fail || !(&wanted{".wal", datadir.KindRecord, last.off, last.off, "beyond the file"}).in(r) {
			t.Errorf("torn, and its length damaged: %s", show(r))
		}
		return
	}
	t.Skip("the db was faster than the kill, each time")
}

// TestReadOnly wants no file changed, made or removed, and an etcd that runs
// told from one that does not.
func TestReadOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := start(t, "v3.7.3", dir)
	s.load(t.Context(), 1, 30)
	_, err := Check(t.Context(), Options{Dir: dir})
	if !errors.As(err, new(*BusyError)) {
		t.Errorf("while etcd runs: %v", err)
	}
	s.stop(syscall.SIGKILL)
	state := func() map[string]string {
		got := map[string]string{}
		if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			got[path] = info.ModTime().String() + info.Mode().String() + strconv.FormatInt(info.Size(), 10)
			if d.Type().IsRegular() {
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				got[path] += strconv.FormatUint(datadir.Hash(b), 16)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	before := state()
	for _, d := range []string{dir, filepath.Join(dir, "member"), filepath.Join(dir, "member", "snap"), filepath.Join(dir, "member", "wal")} {
		if r := check(t, d); r.Verdict != Pass {
			t.Errorf("%s: %s", d, show(r))
		}
	}
	after := state()
	for path, was := range before {
		if after[path] != was {
			t.Errorf("%s was %s, is %s", path, was, after[path])
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files, were %d", len(after), len(before))
	}
}
