package dm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/conformance"
)

func TestDMCutLosesWhatWaits(t *testing.T) {
	d := attach(t, Options{})
	b := openBlock(t, d.Path())
	put(t, b, 1, 0)
	must(t, b.Sync())
	must(t, d.Hold(t.Context(), 0))
	wrote := make(chan error, 1)
	go func() {
		_, err := b.WriteAt(filled(2, unit), 0)
		wrote <- errors.Join(err, b.Sync())
	}()
	must(t, d.Hold(t.Context(), 5*time.Second)) // until the write has come, on a slow machine, too
	select {
	case err := <-wrote:
		t.Fatalf("a write that is held ended with %v", err)
	default:
	}
	r, err := d.Cut()
	must(t, err)
	if r.Uncovered != 1 || r.Writes != 1 || r.Flushes != 1 {
		t.Errorf("the cut is %+v, want one write and one flush before it and one write that waited", r)
	}
	must(t, <-wrote)
	put(t, b, 3, unit)
	if again, err := d.Cut(); again != r || err != nil {
		t.Errorf("a second cut is %+v, %v", again, err)
	}
	var u *UnsupportedError
	if _, err := d.Restore(disk.Torn, 1); !errors.As(err, &u) {
		t.Errorf("torn: %v", err)
	}
	if s, err := d.Stats(); err != nil || s.Powered || s.Uncovered != 2 {
		t.Errorf("the stats are %+v, %v", s, err)
	}
	c, err := d.Restore(disk.Drop, 1)
	must(t, err)
	if c.Uncovered != 2 || c.Dropped != 2 || c.Kept != 0 {
		t.Errorf("the choice is %+v, want two lost", c)
	}
	want(t, b, 1, 0, "restored")
	want(t, b, 0, unit, "restored")
	put(t, b, 4, 0)
	want(t, b, 4, 0, "with power")
	if _, err := d.Restore(disk.Drop, 1); err == nil {
		t.Error("a disk with power is restored")
	}
}

func TestDMReleaseLosesNothing(t *testing.T) {
	d := attach(t, Options{})
	b := openBlock(t, d.Path())
	must(t, d.Hold(t.Context(), 0))
	wrote := make(chan error, 1)
	go func() { _, err := b.WriteAt(filled(2, unit), 0); wrote <- err }()
	time.Sleep(20 * time.Millisecond)
	must(t, d.Release())
	must(t, <-wrote)
	want(t, b, 2, 0, "released")
}

// mounted mounts the device's ext4 for one step.
func mounted(t testing.TB, d *Device, do func(dir string)) {
	t.Helper()
	dir := t.TempDir()
	must(t, unix.Mount(d.Path(), dir, "ext4", 0, ""))
	do(dir)
	must(t, unix.Unmount(dir, 0))
}

// loseFile writes one file that is synced and one that is not, cuts, unmounts,
// restores and says whether the second one is there.
func loseFile(t *testing.T, name string, cut func(*Device)) (survived bool) {
	d := attach(t, Options{Device: fsDisk})
	synced, lazy := "synced-"+name, "lazy-"+name
	mounted(t, d, func(dir string) {
		f, err := os.Create(filepath.Join(dir, synced))
		must(t, err)
		_, err = f.WriteString("safe")
		must(t, errors.Join(err, f.Sync(), f.Close()))
		must(t, os.WriteFile(filepath.Join(dir, lazy), []byte("lost"), 0o600))
		cut(d)
		must(t, d.Unmounting())
	})
	c, err := d.Restore(disk.Drop, 1)
	must(t, err)
	t.Logf("%+v", c)
	mounted(t, d, func(dir string) {
		b, err := os.ReadFile(filepath.Join(dir, synced))
		if err != nil || string(b) != "safe" {
			t.Errorf("the synced file holds %q, %v", b, err)
		}
		_, err = os.Stat(filepath.Join(dir, lazy))
		survived = err == nil
	})
	return survived
}

func TestDMFileSystemLosesItsCache(t *testing.T) {
	if loseFile(t, "cut", func(d *Device) {
		begun := time.Now()
		_, err := d.Cut()
		must(t, err)
		t.Logf("the cut took %v", time.Since(begun))
	}) {
		t.Error("a file that was never synced survived the cut: something synced the file system")
	}
}

// The mutant: a suspend that forgets noflush and skip-lockfs syncs the file
// system, and the cut loses nothing. That this test sees it is what makes the
// one above worth something.
func TestDMSuspendWithLockKeepsEverything(t *testing.T) {
	if !loseFile(t, "mutant", func(d *Device) {
		must(t, d.control.suspendLocked(d.name))
		d.held = true
		_, err := d.Cut()
		must(t, err)
	}) {
		t.Error("a plain suspend did not sync the file system: the mutant is not caught")
	}
}

// A process that is killed leaves its device; the next one takes it over, with
// the cut that it made.
func TestDMIsTakenOver(t *testing.T) {
	d := attach(t, Options{})
	b := openBlock(t, d.Path())
	put(t, b, 1, 0)
	_, err := d.Cut()
	must(t, err)
	again, err := Open(t.Context(), Options{Device: mainDisk, Name: d.name})
	must(t, err)
	if again.Powered() {
		t.Error("the cut is undone")
	}
	put(t, b, 2, 0)
	_, err = again.Restore(disk.Drop, 0)
	must(t, err)
	want(t, b, 1, 0, "taken over and restored")
	// One that is held is let go.
	must(t, again.Hold(t.Context(), 0))
	third, err := Open(t.Context(), Options{Device: mainDisk, Name: d.name})
	must(t, err)
	put(t, b, 3, 0)
	want(t, b, 3, 0, "taken over from a hold")
	must(t, again.control.Close())
	must(t, b.Close())
	must(t, third.Close(t.Context()))
	d.closed = true
	must(t, d.control.Close())
}

func TestDMSweepEndsWhatWaits(t *testing.T) {
	d := attach(t, Options{})
	b := openBlock(t, d.Path())
	must(t, d.Hold(t.Context(), 0))
	wrote := make(chan error, 1)
	go func() { _, err := b.WriteAt(filled(2, unit), 0); wrote <- errors.Join(err, b.Close()) }()
	time.Sleep(20 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, Sweep(ctx, Prefix))
	wantEIO(t, <-wrote, "a write to a device that is swept")
	names, err := d.control.List()
	if err != nil || names != nil {
		t.Errorf("what is left is %v, %v", names, err)
	}
}

// A log that the kernel recorded is read by the code that reads the engine's,
// and makes the crash states that the disk had.
func TestDMLogReplays(t *testing.T) {
	needGuest(t)
	blank(t, logDisk)
	d := attach(t, Options{LogDevice: logDisk})
	b := openBlock(t, d.Path())
	put(t, b, 1, 0)
	put(t, b, 2, unit)
	must(t, b.Sync())
	must(t, d.Mark("here"))
	put(t, b, 3, unit)
	_, err := b.WriteFUA(filled(4, unit), 2*unit)
	must(t, err)
	must(t, b.Sync())
	put(t, b, 5, 0)
	put(t, b, 6, 3*unit)

	live := readLog(t, d.WriteLog)
	if live.EndMarks {
		t.Error("a kernel's log is taken for an engine's")
	}
	here := -1
	for i, e := range live.Entries {
		if e.Text == "here" {
			here = i
		}
	}
	if here < 0 {
		t.Fatalf("no mark in %+v", live.Entries)
	}
	check := func(l *disk.Log, cut int, policy disk.Policy, want ...byte) {
		t.Helper()
		got := make([]byte, 4*unit)
		_, err := replay(t, l, uint64(cut), policy).ReadAt(got, 0)
		must(t, err)
		for i, v := range want {
			if !bytes.Equal(got[i*unit:(i+1)*unit], filled(v, unit)) {
				t.Errorf("replayed to entry %d with %s, block %d holds %d, want %d", cut, policy, i, got[i*unit], v)
			}
		}
	}
	check(live, here, disk.Drop, 1, 2, 0, 0)
	// What no flush covers the kernel has not logged yet.
	check(live, len(live.Entries), disk.Keep, 1, 3, 4, 0)

	r, err := d.Cut()
	must(t, err)
	t.Logf("%+v", r)
	put(t, b, 7, 0) // swallowed, and in no log
	dead := readLog(t, d.WriteLog)
	t.Logf("%d entries with power, %d after the cut", len(live.Entries), len(dead.Entries))
	// When the target goes, it logs what no flush covered.
	check(dead, len(dead.Entries), disk.Keep, 5, 3, 4, 6)
	check(dead, len(dead.Entries), disk.Drop, 1, 3, 4, 0)
	if u := dead.Uncovered(uint64(len(dead.Entries))); len(u) != 2 {
		t.Errorf("%d writes are uncovered in the log, want 2", len(u))
	}
	_, err = d.Restore(disk.Drop, 0)
	must(t, err)
	// What is kept is the state that the device has: all before the cut.
	same := make([]byte, 4*unit)
	_, err = replay(t, dead, uint64(len(dead.Entries)), disk.Keep).ReadAt(same, 0)
	must(t, err)
	for i := range int64(4) {
		want(t, b, same[i*unit], i*unit, "the device and its log")
	}
	kept := readLog(t, d.WriteCutLog)
	check(kept, len(kept.Entries), disk.Keep, 5, 3, 4, 6)
}

// The log of a file system's whole life makes the disk that it left, to the byte.
func TestDMLogOfAFileSystem(t *testing.T) {
	needGuest(t)
	blank(t, logDisk)
	image := filepath.Join(t.TempDir(), "image")
	base := wholeDisk(t, fsDisk)
	must(t, os.WriteFile(image, base, 0o600))
	d := attach(t, Options{Device: fsDisk, LogDevice: logDisk})
	mounted(t, d, func(dir string) {
		for i := range 20 {
			f, err := os.Create(filepath.Join(dir, fmt.Sprintf("file-%d", i)))
			must(t, err)
			_, err = f.Write(filled(byte(i), 10_000))
			must(t, err)
			if i%3 == 0 {
				must(t, f.Sync())
			}
			must(t, f.Close())
			must(t, d.Mark(fmt.Sprintf("file %d", i)))
		}
	})
	l := readLog(t, d.WriteLog)
	marks := 0
	for _, e := range l.Entries {
		if strings.HasPrefix(e.Text, "file ") {
			marks++
		}
	}
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	c, err := disk.Replay(l, disk.FileTarget(f), diskSize, uint64(len(l.Entries)), disk.Keep, 0, disk.Honest512)
	must(t, err)
	made, err := os.ReadFile(image)
	must(t, err)
	left := wholeDisk(t, fsDisk)
	if marks != 20 || !bytes.Equal(made, left) || bytes.Equal(base, left) {
		t.Errorf("%d marks of 20; the disk that the log makes is the one that was left: %v", marks, bytes.Equal(made, left))
	}
	t.Logf("%d entries, %+v", len(l.Entries), c)
}

func wholeDisk(t testing.TB, path string) []byte {
	t.Helper()
	b := openBlock(t, path)
	p := make([]byte, diskSize)
	_, err := b.ReadAt(p, 0)
	must(t, err)
	return p
}

// A log whose device is too small is said to be missing; the disk goes on.
func TestDMLogThatIsFull(t *testing.T) {
	needGuest(t)
	blank(t, logDisk)
	c, err := OpenControl()
	must(t, err)
	defer c.Close()
	below, _, err := sizeOf(logDisk)
	must(t, err)
	small := Prefix + "small"
	n, err := c.Create(small)
	must(t, err)
	defer func() { must(t, c.Remove(t.Context(), small)) }()
	must(t, c.Load(small, Table{{0, 64, Linear{Dev: below}}}))
	must(t, c.Resume(small))
	path, err := nodeOf(small, n)
	must(t, err)
	d := attach(t, Options{LogDevice: path})
	defer func() { must(t, d.Close(context.Background())) }()
	b := openBlock(t, d.Path())
	for i := range int64(32) {
		put(t, b, 1, i*unit)
	}
	must(t, b.Sync())
	if err := d.WriteLog(io.Discard); err == nil {
		t.Error("a log that is full is read")
	} else {
		t.Log(err)
	}
	_, err = d.Cut()
	must(t, err)
	_, err = d.Restore(disk.Drop, 0)
	must(t, err)
	want(t, b, 1, 31*unit, "restored beside a full log")
	if err := d.WriteCutLog(io.Discard); err == nil {
		t.Error("the log of a cut is read from a log that is full")
	} else {
		t.Log(err)
	}
	must(t, b.Close())
}

func readLog(t testing.TB, write func(io.Writer) error) *disk.Log {
	t.Helper()
	var b bytes.Buffer
	must(t, write(&b))
	l, err := disk.OpenLog(bytes.NewReader(b.Bytes()), int64(b.Len()))
	must(t, err)
	return l
}

func replay(t testing.TB, l *disk.Log, cut uint64, policy disk.Policy) *os.File {
	t.Helper()
	image, err := os.Create(filepath.Join(t.TempDir(), string(policy)))
	must(t, err)
	t.Cleanup(func() { image.Close() })
	must(t, image.Truncate(diskSize))
	_, err = disk.Replay(l, disk.FileTarget(image), diskSize, cut, policy, 1, disk.Honest512)
	must(t, err)
	return image
}

// What a front of device mapper lacks, and why.
var lacks = map[conformance.Capability]string{
	conformance.CapCount:     "device mapper does not know what a flush covered: counted is what came after the cut",
	conformance.CapDrop:      "it has no volatile cache: what completed before the cut stays, what comes after it is lost",
	conformance.CapKeep:      "nothing of what a cut swallows is kept; from a log that log-writes recorded",
	conformance.CapPrefix:    "nothing of what a cut swallows is kept; from a log that log-writes recorded",
	conformance.CapRandom:    "nothing of what a cut swallows is kept; from a log that log-writes recorded",
	conformance.CapTorn:      "nothing of what a cut swallows is kept; from a log that log-writes recorded",
	conformance.CapHold:      "a suspend holds everything back, not flushes alone, and does not tell how much",
	conformance.CapFUA:       "it has no volatile cache that a write could pass by",
	conformance.CapBeside:    "a suspend holds everything back",
	conformance.CapFailRange: "the target that fails the writes of a range fails every flush, too; reads and writes of a range together can fail",
	conformance.CapSlow:      "its targets fail operations, or let them pass",
	conformance.CapLie:       "its targets fail operations, or let them pass; drop_writes is how a cut swallows them",
	conformance.CapHoldAt:    "it does not tell operations apart",
	conformance.CapFailNth:   "its targets do not count: all operations of a kind fail, or none",
}

func TestDMConformance(t *testing.T) {
	needGuest(t)
	probe := attach(t, Options{})
	if err := probe.SetFaults([]disk.Fault{{Op: disk.OpRead, Length: unit}}); err != nil {
		lacks[conformance.CapFailRead] = err.Error()
	}
	must(t, probe.Close(t.Context()))
	var report *conformance.Report
	t.Cleanup(func() { // after the suite's own, which fills it in
		data, err := json.Marshal(report)
		must(t, err)
		fmt.Printf("\n%s%s\n", reportMark, data)
	})
	report = conformance.Run(t, "dm inside a vm", func(t testing.TB) *conformance.Front {
		blank(t, logDisk)
		d := attach(t, Options{LogDevice: logDisk})
		f := &conformance.Front{
			Size: d.Size(), Atom: disk.SectorSize, Lacks: lacks, SetFaults: d.SetFaults, Restore: d.Restore,
			Cut: func() disk.CutRecord {
				r, err := d.Cut()
				must(t, err)
				return r
			},
			Log: func() (*disk.Log, error) {
				var b bytes.Buffer
				if err := d.WriteLog(&b); err != nil {
					return nil, err
				}
				return disk.OpenLog(bytes.NewReader(b.Bytes()), int64(b.Len()))
			},
		}
		return f.UseBlockDevice(d.Path())
	})
}

// reportMark begins the line that carries the suite's report out of the guest.
const reportMark = "conformance report: "
