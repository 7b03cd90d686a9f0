package conformance

import (
	"bytes"
	"context"
	"math/bits"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
)

// slowAndStuck: an operation takes as long as it is told, one that is stuck ends
// well when the disk is healed.
func slowAndStuck(t testing.TB, f *Front) {
	d := open(t, f)
	const slow = 40 * time.Millisecond
	must(t, f.SetFaults([]disk.Fault{{Op: disk.OpWrite, Action: disk.ActDelay, Delay: slow, Count: 1}}))
	begun := time.Now()
	d.put(1, 0, unit)
	if took := time.Since(begun); took < slow {
		t.Errorf("a write that is to take %v took %v", slow, took)
	}
	for _, op := range []disk.Operation{disk.OpWrite, disk.OpFlush, disk.OpRead} {
		done := f.stuck(t, d, op)
		must(t, f.SetFaults(nil))
		must(t, <-done)
	}
	d.want(2, 0, unit, "written once it was not stuck any more")
}

// stuck makes an operation wait, and returns when the disk has it.
func (f *Front) stuck(t testing.TB, d *device, op disk.Operation) chan error {
	t.Helper()
	must(t, f.SetFaults([]disk.Fault{{Op: op, Action: disk.ActHang}}))
	t.Cleanup(func() { _ = f.SetFaults(nil) })
	done := make(chan error, 1)
	go func() {
		switch op {
		case disk.OpWrite:
			done <- d.tryPut(2, 0, unit)
		case disk.OpRead:
			_, err := d.ReadAt(make([]byte, unit), 0)
			done <- err
		default:
			done <- d.Sync()
		}
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s := f.Faults(); len(s) == 0 || s[0].Hit == 0; s = f.Faults() {
		select {
		case err := <-done:
			t.Fatalf("a %s that is to be stuck ended with %v", op, err)
		case <-tick.C:
		}
	}
	select {
	case err := <-done:
		t.Fatalf("a %s that is stuck ended with %v", op, err)
	default:
	}
	return done
}

// stuckUntilCut: what is stuck at the cut ends, and is not done.
func stuckUntilCut(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, unit)
	d.sync()
	done := f.stuck(t, d, disk.OpWrite)
	f.Cut()
	must(t, <-done)
	must(t, f.SetFaults(nil))
	_, err := f.Restore(disk.Drop, 1)
	must(t, err)
	d.want(1, 0, unit, "stuck at the cut")
}

// writesGoWrong: what the disk does to a write that it acknowledges.
func writesGoWrong(t testing.TB, f *Front) {
	d := open(t, f)
	const n = 4 * unit
	d.put(1, 0, 4*n)
	d.sync()
	wrong := func(fault disk.Fault) []byte {
		t.Helper()
		fault.Op, fault.Count = disk.OpWrite, 1
		must(t, f.SetFaults([]disk.Fault{fault}))
		d.put(2, 0, n)
		must(t, f.SetFaults(nil))
		return d.get(0, n)
	}
	if b := wrong(disk.Fault{Action: disk.ActLose}); !bytes.Equal(b, filled(1, n)) {
		t.Error("a write that is lost is there")
	}
	if b := wrong(disk.Fault{Action: disk.ActMisdirect, Shift: 2 * n}); !bytes.Equal(b, filled(1, n)) {
		t.Error("a write that is misdirected is where it belongs")
	}
	d.want(2, 2*n, n, "where the write was misdirected to")
	if twos := bytes.Count(wrong(disk.Fault{Action: disk.ActTear, Seed: 1}), []byte{2}); twos == 0 || twos == n || twos%int(f.Atom) != 0 {
		t.Errorf("of %d bytes of a torn write %d are there", n, twos)
	}
	flipped := 0
	for _, b := range wrong(disk.Fault{Action: disk.ActFlip, Seed: 1}) {
		flipped += bits.OnesCount8(b ^ 2)
	}
	if flipped != 1 {
		t.Errorf("%d bits are flipped, want one", flipped)
	}
	d.put(3, 0, 4*n)
	d.want(3, 0, 4*n, "healed")
}

func flushLies(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, unit)
	d.sync()
	must(t, f.SetFaults([]disk.Fault{{Op: disk.OpFlush, Action: disk.ActLose}}))
	d.put(2, 0, unit)
	d.sync()
	d.want(2, 0, unit, "after a flush that lied")
	f.cycle(t, disk.Drop, 1)
	d.want(1, 0, unit, "after a flush that lied, and a cut")
	must(t, f.SetFaults(nil))
	d.put(3, 0, unit)
	d.sync()
	f.cycle(t, disk.Drop, 1)
	d.want(3, 0, unit, "healed")
}

// holdAt makes a hold begin at an operation, and does writes and flushes until it
// has; it gives the number of the last write, which every call of write gets.
func (f *Front) holdAt(d *device, at disk.Fault, write func(v byte) error) byte {
	d.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	d.Cleanup(cancel)
	d.Cleanup(f.Release)
	fired := make(chan bool, 1)
	go func() {
		fire, _, _, err := f.HoldAt(ctx, at, time.Minute)
		if err != nil {
			d.Error(err)
		}
		fired <- fire
	}()
	flushed := make(chan error, 1)
	for v := byte(1); v < 250; v++ {
		go func() {
			err := write(v)
			if err == nil {
				err = d.Sync()
			}
			flushed <- err
		}()
		select {
		case ok := <-fired:
			if !ok {
				d.Error("the operation was not seen")
			}
			record := f.Cut()
			must(d, <-flushed)
			if record.Held != 1 || record.Uncovered != 1 {
				d.Errorf("the cut found %+v, want one held flush and one uncovered write", record)
			}
			_, err := f.Restore(disk.Drop, 1)
			must(d, err)
			return v
		case err := <-flushed:
			must(d, err) // it is not the one, or the trigger is not armed yet
		}
	}
	d.Fatal("249 operations did not begin the hold")
	return 0
}

// holdsAtFlush: sooner or later a flush is the one, and its write is not covered.
func holdsAtFlush(t testing.TB, f *Front) {
	d := open(t, f)
	v := f.holdAt(d, disk.Fault{Op: disk.OpFlush, Nth: 3}, func(v byte) error { return d.tryPut(v, 0, unit) })
	d.want(v-1, 0, unit, "after a cut inside the flush that was waited for")
	if v < 3 {
		t.Errorf("flush %d was held back, want the third or a later one", v)
	}
}

// holdsAtWrite: a write of the range begins it, one beside it does not.
func holdsAtWrite(t testing.TB, f *Front) {
	d := open(t, f)
	v := f.holdAt(d, disk.Fault{Op: disk.OpWrite, Offset: 16 * unit, Length: unit}, func(v byte) error {
		if err := d.tryPut(v, 0, unit); err != nil {
			return err
		}
		if err := d.Sync(); err != nil {
			return err
		}
		return d.tryPut(v, 16*unit, unit)
	})
	d.want(v, 0, unit, "flushed before the write that was waited for")
	d.want(v-1, 16*unit, unit, "the write that was waited for")
}
