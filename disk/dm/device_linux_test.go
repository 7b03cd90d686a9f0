package dm

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/internal/blockio"
)

const unit = 4096

// attach makes a device on a disk that reads zero.
func attach(t testing.TB, o Options) *Device {
	t.Helper()
	needGuest(t)
	if o.Device == "" {
		o.Device = mainDisk
	}
	o.Name = Prefix + "test"
	if o.Device != fsDisk {
		blank(t, o.Device)
	}
	d, err := Open(t.Context(), o)
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		must(t, d.Close(ctx))
	})
	return d
}

func blank(t testing.TB, path string) {
	t.Helper()
	b := openBlock(t, path)
	must(t, b.ZeroOut(0, diskSize))
	must(t, b.Close())
}

func openBlock(t testing.TB, path string) blockio.Device {
	t.Helper()
	b, err := blockio.Open(path)
	must(t, err)
	t.Cleanup(func() { b.Close() })
	return b
}

func filled(v byte, n int) []byte { return bytes.Repeat([]byte{v}, n) }

func put(t testing.TB, b blockio.Device, v byte, off int64) {
	t.Helper()
	_, err := b.WriteAt(filled(v, unit), off)
	must(t, err)
}

func want(t testing.TB, b blockio.Device, v byte, off int64, when string) {
	t.Helper()
	p := make([]byte, unit)
	_, err := b.ReadAt(p, off)
	must(t, err)
	if !bytes.Equal(p, filled(v, unit)) {
		t.Errorf("%s: the block at %d is not all %d, the first byte is %d", when, off, v, p[0])
	}
}

func wantEIO(t testing.TB, err error, what string) {
	t.Helper()
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("%s gives %v, want an I/O error", what, err)
	}
}

func TestDMTargets(t *testing.T) {
	needGuest(t)
	c, err := OpenControl()
	must(t, err)
	defer c.Close()
	targets, err := c.Targets()
	must(t, err)
	for _, name := range []string{"linear", "error", "flakey", "delay", "log-writes"} {
		if _, ok := targets[name]; !ok {
			t.Errorf("no target %s in %v", name, targets)
		}
	}
	t.Log(targets)
	must(t, c.Need("flakey"))
	var missing *MissingError
	if err := c.Need("unheard-of"); !errors.As(err, &missing) {
		t.Error(err)
	}
}

func TestDMReadsBackAndLeavesNothing(t *testing.T) {
	d := attach(t, Options{})
	b := openBlock(t, d.Path())
	put(t, b, 1, 0)
	put(t, b, 2, d.Size()-unit)
	must(t, b.Sync())
	want(t, b, 1, 0, "linear")
	want(t, openBlock(t, mainDisk), 2, d.Size()-unit, "below")
	if d.Size() != diskSize {
		t.Errorf("its size is %d", d.Size())
	}
	names, err := d.control.List()
	must(t, err)
	if len(names) != 1 || names[0].Name != Prefix+"test" || names[0].Dev != d.dev {
		t.Errorf("there are the devices %v", names)
	}
	must(t, b.Close())
	must(t, d.Close(t.Context()))
	must(t, d.Close(t.Context()))
	c, err := OpenControl()
	must(t, err)
	defer c.Close()
	if names, err = c.List(); err != nil || names != nil {
		t.Errorf("what is left is %v, %v", names, err)
	}
}

// dropped writes succeed and are lost, flushed or not; linear heals.
func TestDMDropWritesLoses(t *testing.T) {
	d := attach(t, Options{})
	b := openBlock(t, d.Path())
	put(t, b, 1, 0)
	must(t, b.Sync())
	must(t, d.SetTable(d.Whole(Flakey{Dev: d.Below(), Down: Always, DropWrites: true})))
	put(t, b, 2, 0)
	must(t, b.Sync())
	want(t, b, 1, 0, "after a dropped write")
	must(t, d.Heal())
	put(t, b, 3, 0)
	want(t, b, 3, 0, "healed")
}

func TestDMErrorTarget(t *testing.T) {
	d := attach(t, Options{})
	b := openBlock(t, d.Path())
	put(t, b, 1, 0)
	must(t, d.SetTable(d.Whole(Error{})))
	_, err := b.ReadAt(make([]byte, unit), 0)
	wantEIO(t, err, "a read")
	_, err = b.WriteAt(filled(2, unit), 0)
	wantEIO(t, err, "a write")
	must(t, d.Heal())
	want(t, b, 1, 0, "healed")
}

// The intervals are counted in whole seconds from when the table is loaded.
func TestDMIntervals(t *testing.T) {
	d := attach(t, Options{})
	b := openBlock(t, d.Path())
	must(t, d.SetTable(d.Whole(Flakey{Dev: d.Below(), Up: time.Second, Down: time.Second, ErrorWrites: true})))
	failed, changes := false, 0
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && changes < 3; time.Sleep(20 * time.Millisecond) {
		_, err := b.WriteAt(filled(1, unit), 0)
		if err != nil {
			wantEIO(t, err, "a write while it is down")
		}
		if (err != nil) != failed {
			failed = !failed
			changes++
		}
	}
	if changes < 3 {
		t.Errorf("it changed %d times between up and down in a minute, want 3", changes)
	}
}

func TestDMCorruptBioByteFlips(t *testing.T) {
	d := attach(t, Options{})
	b := openBlock(t, d.Path())
	put(t, b, 1, 0)
	read := func() []byte {
		p := make([]byte, unit)
		_, err := b.ReadAt(p, 0)
		must(t, err)
		return p
	}
	must(t, d.SetTable(d.Whole(Flakey{Dev: d.Below(), Down: Always, Corrupt: &Corrupt{Nth: 7, Value: 99}})))
	switch p := read(); {
	case bytes.Equal(p, filled(1, unit)):
		t.Log("this kernel corrupts no reads")
	case p[6] != 99 || p[5] != 1 || p[7] != 1:
		t.Errorf("a read gives %v", p[:9])
	}
	must(t, d.SetTable(d.Whole(Flakey{Dev: d.Below(), Down: Always, Corrupt: &Corrupt{Nth: 3, Write: true, Value: 77}})))
	put(t, b, 2, 0)
	must(t, d.Heal())
	if p := read(); p[2] != 77 || p[1] != 2 || p[3] != 2 {
		t.Errorf("a write left %v", p[:5])
	}
}

func TestDMDelayDelays(t *testing.T) {
	d := attach(t, Options{})
	b := openBlock(t, d.Path())
	took := func(do func()) time.Duration {
		begun := time.Now()
		do()
		return time.Since(begun)
	}
	must(t, d.SetTable(d.Whole(Delay{Dev: d.Below(), Write: time.Second, Flush: 2 * time.Second})))
	write := took(func() { put(t, b, 1, 0) })
	flush := took(func() { must(t, b.Sync()) })
	// Bounds from above are for the fastest of many: a delay delays all of them,
	// a machine that has too much to do only some.
	fastest := func(do func()) time.Duration {
		best := took(do)
		for n := 1; n < 20 && best > 900*time.Millisecond; n++ {
			best = min(best, took(do))
		}
		return best
	}
	read := fastest(func() { want(t, b, 1, 0, "delayed") })
	if write < time.Second || flush < 2*time.Second || read > 900*time.Millisecond {
		t.Errorf("a write took %v, a flush %v, a read %v", write, flush, read)
	}
	must(t, d.Heal())
	if write = fastest(func() { put(t, b, 1, 0) }); write > 900*time.Millisecond {
		t.Errorf("healed, a write took %v", write)
	}
}

// The first write that fails may be the last that is tried, as with etcd's: it
// is counted also when it waited while the fault was armed.
func TestDMFirstHitCounts(t *testing.T) {
	d := attach(t, Options{})
	b := openBlock(t, d.Path())
	for range 20 {
		failed := make(chan error, 1)
		go func() {
			for i := int64(0); ; i = (i + 1) % 16 {
				if _, err := b.WriteAt(filled(1, unit), i*unit); err != nil {
					failed <- err
					return
				}
			}
		}()
		must(t, d.SetFaults([]disk.Fault{{Op: disk.OpWrite}}))
		wantEIO(t, <-failed, "a write")
		if s := d.Faults(); s[0].Hit != 1 {
			t.Fatalf("one write failed, %d are counted", s[0].Hit)
		}
		must(t, d.SetFaults(nil))
	}
}

func TestDMFaults(t *testing.T) {
	d := attach(t, Options{})
	b := openBlock(t, d.Path())
	put(t, b, 1, 0)
	put(t, b, 1, unit)
	tryPut := func(off int64) error { _, err := b.WriteAt(filled(2, unit), off); return err }
	tryGet := func(off int64) error { _, err := b.ReadAt(make([]byte, unit), off); return err }
	hits := func(want ...uint64) {
		t.Helper()
		for i, s := range d.Faults() {
			if s.Hit != want[i] || s.Matched != want[i] {
				t.Errorf("fault %+v, want %d hits", s, want[i])
			}
		}
	}

	must(t, d.SetFaults([]disk.Fault{{Op: disk.OpWrite}}))
	wantEIO(t, tryPut(0), "a write")
	wantEIO(t, b.Sync(), "a flush beside failing writes")
	must(t, tryGet(0))
	hits(1)

	must(t, d.SetFaults([]disk.Fault{{Op: disk.OpFlush}}))
	hits(0)
	must(t, tryPut(0))
	wantEIO(t, b.Sync(), "a flush")
	must(t, tryGet(0))
	hits(1)

	must(t, d.SetFaults([]disk.Fault{{Op: disk.OpRead, Offset: unit, Length: unit}, {Op: disk.OpWrite, Offset: unit, Length: unit}}))
	wantEIO(t, tryPut(unit), "a write to a bad sector")
	wantEIO(t, tryGet(unit), "a read of a bad sector")
	must(t, tryPut(0))
	must(t, tryPut(2*unit))
	must(t, b.Sync())
	hits(0, 0) // which the kernel does not count

	must(t, d.SetFaults([]disk.Fault{{Op: disk.OpWrite, For: 10 * time.Second}}))
	wantEIO(t, tryPut(0), "a write in time")
	hits(1)
	time.Sleep(10 * time.Second)
	for stop := time.Now().Add(time.Minute); tryPut(0) != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(stop) {
			t.Fatal("a fault for 10 s lasts")
		}
	}

	err := d.SetFaults([]disk.Fault{{Op: disk.OpRead}})
	var u *UnsupportedError
	switch {
	case err == nil:
		wantEIO(t, tryGet(0), "a read")
		must(t, tryPut(0))
	case errors.As(err, &u) && strings.Contains(err.Error(), "error_reads"):
		t.Log(err)
		must(t, tryGet(0))
	default:
		t.Error(err)
	}
	must(t, d.SetFaults(nil))
	must(t, tryPut(unit))
	must(t, b.Sync())
	want(t, b, 2, unit, "healed")
	if err := d.SetFaults([]disk.Fault{{Op: disk.OpFlush, Count: 1}}); !errors.As(err, &u) {
		t.Errorf("one flush: %v", err)
	}
}
