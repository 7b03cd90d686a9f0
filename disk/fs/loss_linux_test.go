package fs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/fs"
)

// writer appends records to a file and makes each durable; now and then it
// begins a new file, as a write-ahead log does.
type writer struct {
	dir    string
	synced atomic.Int64 // records that are durable
	stop   atomic.Bool
	done   chan error
}

const perFile = 16

func startWriter(dir string, from int64) *writer {
	w := &writer{dir: dir, done: make(chan error, 1)}
	w.synced.Store(from)
	go func() { w.done <- w.run() }()
	return w
}

func (w *writer) run() error {
	var f *os.File
	defer func() { f.Close() }()
	for n := w.synced.Load(); !w.stop.Load(); n++ {
		if f == nil || n%perFile == 0 {
			f.Close()
			var err error
			if f, err = w.begin(n); err != nil {
				return err
			}
		}
		if _, err := f.WriteString(record(n)); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		w.synced.Store(n + 1)
	}
	return nil
}

// begin makes the file of record n with its name durable.
func (w *writer) begin(n int64) (*os.File, error) {
	temp := filepath.Join(w.dir, "new")
	f, err := os.Create(temp)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(temp, filepath.Join(w.dir, fmt.Sprintf("log.%06d", n))); err != nil {
		return f, err
	}
	d, err := os.Open(w.dir)
	if err != nil {
		return f, err
	}
	defer d.Close()
	return f, d.Sync()
}

// record is 1000 bytes, so that records straddle sectors.
func record(n int64) string { return fmt.Sprintf("%-999d\n", n) }

// missing checks every record of the epoch that began at from.
func missing(dir string, from, synced int64) error {
	var all strings.Builder
	names, err := filepath.Glob(filepath.Join(dir, "log.*"))
	if err != nil {
		return err
	}
	for _, name := range names { // sorted by Glob
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		all.Write(b)
	}
	text := all.String()
	for n := from; n < synced; n++ {
		if !strings.Contains(text, record(n)) {
			return fmt.Errorf("record %d of %d to %d is lost", n, from, synced)
		}
	}
	return nil
}

// TestSyncedRecordsSurvive cuts the power under a running writer, many times.
func TestSyncedRecordsSurvive(t *testing.T) {
	const seeds = 20
	for _, kind := range fs.Kinds() {
		for _, policy := range []disk.Policy{disk.Random, disk.Torn} {
			t.Run(kind+"/"+string(policy), func(t *testing.T) {
				m := mountNew(t, kind, disk.Options{})
				lost, from := 0, int64(0)
				for seed := range uint64(seeds) {
					w := startWriter(m.dir, from)
					for start := time.Now(); w.synced.Load() < from+20 && time.Since(start) < 2*time.Minute; {
						time.Sleep(time.Millisecond)
					}
					// Now a flush is under way, with writes to cover.
					// One that has nothing to cover may come first.
					for start := time.Now(); time.Since(start) < 2*time.Minute; m.engine.Release() {
						if flushes, uncovered := m.engine.Hold(context.Background(), 10*time.Second); flushes > 0 && uncovered > 0 {
							break
						}
					}
					synced := w.synced.Load()
					m.engine.Cut()
					w.stop.Store(true)
					if err := <-w.done; err != nil {
						t.Fatalf("seed %d: the writer failed: %v", seed, err)
					}
					record, choice := m.lose(policy, seed)
					if record.Uncovered == 0 {
						t.Errorf("seed %d: the cut found nothing uncovered", seed)
					}
					lost += choice.Dropped + choice.Torn
					if err := missing(m.dir, from, synced); err != nil {
						t.Fatalf("seed %d, %+v: %v", seed, choice, err)
					}
					from = (w.synced.Load()/perFile + 1) * perFile
				}
				if lost == 0 {
					t.Error("no cut lost a write: the test proves nothing")
				}
			})
		}
	}
}

// TestLyingDiskIsNoticed: the same test finds a disk that loses what it said
// was durable.
func TestLyingDiskIsNoticed(t *testing.T) {
	m := mountNew(t, "ext4", disk.Options{})
	must(t, m.engine.SetProfile(disk.LyingFlush))
	w := startWriter(m.dir, 0)
	for start := time.Now(); w.synced.Load() < 20 && time.Since(start) < 2*time.Minute; {
		time.Sleep(time.Millisecond)
	}
	synced := w.synced.Load()
	m.engine.Cut()
	w.stop.Store(true)
	must(t, <-w.done)
	m.lose(disk.Drop, 1)
	if missing(m.dir, 0, synced) == nil {
		t.Error("a disk that covers nothing lost nothing")
	}
}
