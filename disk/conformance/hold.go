package conformance

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
)

// hold holds a flush of d back that has something to cover.
func (f *Front) hold(t testing.TB, d *device) (flushed chan error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	f.Hold(ctx, 0)
	t.Cleanup(f.Release)
	flushed = make(chan error, 1)
	go func() {
		defer cancel() // one that comes back is not held
		flushed <- d.Sync()
	}()
	if flushes, uncovered := f.Hold(ctx, time.Minute); flushes != 1 || uncovered == 0 {
		t.Fatalf("%d flushes are held back with %d uncovered writes, want one with some", flushes, uncovered)
	}
	select {
	case err := <-flushed:
		t.Fatalf("a flush that is held back ended with %v", err)
	default:
	}
	return flushed
}

func heldFlushDoesNotCover(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, unit)
	flushed := f.hold(t, d)
	record := f.Cut()
	if record.Held != 1 || record.Uncovered != 1 {
		t.Errorf("the cut found %+v, want one held flush and one uncovered write", record)
	}
	must(t, <-flushed)
	_, err := f.Restore(disk.Drop, 1)
	must(t, err)
	d.want(0, 0, unit, "after a cut inside the flush")
}

func releasedFlushCovers(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, unit)
	flushed := f.hold(t, d)
	f.Release()
	must(t, <-flushed)
	f.cycle(t, disk.Drop, 1)
	d.want(1, 0, unit, "after a flush that was released")
}

// heldFlushKeepsNobodyWaiting: what comes beside a flush that is held back is
// served.
func heldFlushKeepsNobodyWaiting(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, unit)
	flushed := f.hold(t, d)
	beside := make(chan error, 1)
	go func() {
		err := d.tryPut(2, unit, unit)
		if err == nil {
			_, err = d.ReadAt(make([]byte, unit), 0)
		}
		beside <- err
	}()
	select {
	case err := <-beside:
		must(t, err)
	case <-time.After(30 * time.Second): // for good, not for a busy machine
		t.Error("a write and a read wait for a flush that is held back")
	}
	f.Release()
	must(t, <-flushed)
	d.want(2, unit, unit, "written beside a held flush")
}

// parallelWritersReadBack: many at once, each in its own range.
func parallelWritersReadBack(t testing.TB, f *Front) {
	d := open(t, f)
	const workers, rounds, length = 8, 12, 4 * unit
	errs := make(chan error, workers)
	var running sync.WaitGroup
	for w := range int64(workers) {
		running.Go(func() {
			for i := range byte(rounds) {
				if err := d.tryPut(byte(w)*rounds+i, w*length, length); err != nil {
					errs <- err
					return
				}
				p := make([]byte, length)
				if _, err := d.ReadAt(p, w*length); err != nil {
					errs <- err
					return
				}
				if want := byte(w)*rounds + i; p[0] != want || p[length-1] != want {
					t.Errorf("worker %d wrote %d and reads %d to %d", w, want, p[0], p[length-1])
				}
				if i%4 == 3 {
					if err := d.Sync(); err != nil {
						errs <- err
						return
					}
				}
			}
		})
	}
	running.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}
