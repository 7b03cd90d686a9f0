package crash

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

// What a kill -9 of etcdlab leaves is all but the last moments; only a run that
// was closed says that nothing is missing.
func TestRunDirIsFlushed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	d, err := createRunDir(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.ops.Append(&history.Op{ID: 1, Then: []history.Request{{Key: "k"}}}); err != nil {
		t.Fatal(err)
	}
	if err := d.watches.Append(&history.WatchRecord{Watch: 1, Kind: history.WatchOpened}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(flushEvery / 4) {
		ops, watches, whole := recorded(t, path)
		if ops == 1 && watches == 1 && !whole {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d operations and %d records of watches were flushed, whole %v", ops, watches, whole)
		}
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	if ops, watches, whole := recorded(t, path); ops != 1 || watches != 1 || !whole {
		t.Errorf("after the run: %d, %d, whole %v", ops, watches, whole)
	}
}

// recorded counts what both logs hold, and says whether both have an end mark.
func recorded(t *testing.T, dir string) (ops, watches int, whole bool) {
	t.Helper()
	count := func(name string, next func(io.Reader) (func() error, func() bool, error)) (n int, whole bool) {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		read, truncated, err := next(f)
		if err != nil {
			t.Fatal(err)
		}
		for {
			if err := read(); errors.Is(err, io.EOF) {
				return n, !truncated()
			} else if err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	ops, all := count(history.FileOps, func(f io.Reader) (func() error, func() bool, error) {
		r, err := history.NewReader(f)
		return func() error { return r.Next(new(history.Op)) }, func() bool { return r.Truncated() }, err
	})
	watches, every := count(history.FileWatches, func(f io.Reader) (func() error, func() bool, error) {
		r, err := history.NewWatchReader(f)
		return func() error { return r.Next(new(history.WatchRecord)) }, func() bool { return r.Truncated() }, err
	})
	return ops, watches, all && every
}
