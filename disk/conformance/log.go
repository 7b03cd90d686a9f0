package conformance

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcdlab/etcdlab/disk"
)

// engineLog reads the log of an engine that has not folded it.
func engineLog(e *disk.Engine) (*disk.Log, error) {
	if err := e.Mark("conformance"); err != nil { // completes the file
		return nil, err
	}
	data, err := os.ReadFile(e.LogPath())
	if err != nil {
		return nil, err
	}
	return disk.OpenLog(bytes.NewReader(data), int64(len(data)))
}

// logReplays: crash states that are made from the log are what the disk held.
func logReplays(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, 4*unit)
	d.put(2, 2*unit, unit)
	d.sync()
	if f.has(CapDiscard) {
		must(t, d.Discard(3*unit, unit))
		d.sync()
	}
	d.put(3, 0, unit)
	l, err := f.Log()
	must(t, err)
	replay := func(policy disk.Policy) *os.File {
		t.Helper()
		image, err := os.Create(filepath.Join(t.TempDir(), string(policy)))
		must(t, err)
		t.Cleanup(func() { image.Close() })
		must(t, image.Truncate(f.Size))
		choice, err := disk.Replay(l, disk.FileTarget(image), f.Size, uint64(len(l.Entries)), policy, 1, disk.Honest512)
		must(t, err)
		t.Logf("%d entries, replayed with %s: %+v", len(l.Entries), policy, choice)
		return image
	}
	check := func(policy disk.Policy, first byte) {
		t.Helper()
		want := append(filled(first, unit), filled(1, unit)...)
		want = append(want, filled(2, unit)...)
		fourth := byte(1)
		if f.has(CapDiscard) {
			fourth = 0
		}
		want = append(append(want, filled(fourth, unit)...), filled(0, unit)...)
		got := make([]byte, len(want))
		_, err := replay(policy).ReadAt(got, 0)
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("the log replayed with %s differs from the disk", policy)
		}
	}
	check(disk.Drop, 1)
	if f.has(CapKeep) {
		check(disk.Keep, 3)
	}
}

func filled(v byte, n int) []byte { return bytes.Repeat([]byte{v}, n) }
