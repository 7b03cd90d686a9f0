package conformance

import (
	"errors"
	"syscall"
	"testing"

	"github.com/etcdlab/etcdlab/disk"
)

// failsFlush: flushes fail until the disk is healed, and nothing else does.
func failsFlush(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, unit)
	d.sync()
	must(t, f.SetFaults([]disk.Fault{{Op: disk.OpFlush}}))
	d.put(2, 0, unit)
	if err := d.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("a flush gives %v, want an I/O error", err)
	}
	d.want(2, 0, unit, "beside a failed flush")
	must(t, f.SetFaults(nil))
	d.sync()
	d.want(2, 0, unit, "healed")
}

// failsNth: a flush fails once, as armed, and goes well after it.
func failsNth(t testing.TB, f *Front) {
	d := open(t, f)
	must(t, f.SetFaults([]disk.Fault{{Op: disk.OpFlush, Nth: 2, Count: 1}}))
	d.put(1, 0, unit)
	d.sync()
	d.put(2, 0, unit)
	if err := d.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("the second flush gives %v, want an I/O error", err)
	}
	must(t, f.SetFaults(nil))
	d.put(3, 0, unit)
	d.sync()
	d.want(3, 0, unit, "after a flush that follows a failed one")
}

func failedFlushCoversNothing(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, unit)
	d.sync()
	must(t, f.SetFaults([]disk.Fault{{Op: disk.OpFlush, Count: 1}}))
	d.put(2, 0, unit)
	if err := d.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("a flush gives %v, want an I/O error", err)
	}
	f.cycle(t, disk.Drop, 1)
	d.want(1, 0, unit, "after a failed flush")
	d.put(3, 0, unit)
	d.sync()
	f.cycle(t, disk.Drop, 1)
	d.want(3, 0, unit, "after a flush that follows a failed one")
}

func failsRead(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, unit)
	must(t, f.SetFaults([]disk.Fault{{Op: disk.OpRead}}))
	if _, err := d.ReadAt(make([]byte, unit), 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("a read gives %v, want an I/O error", err)
	}
	d.put(2, unit, unit)
	must(t, f.SetFaults(nil))
	d.want(1, 0, unit, "healed")
	d.want(2, unit, unit, "written while nothing could be read")
}

func failsReadOfRange(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, 2*unit)
	must(t, f.SetFaults([]disk.Fault{{Op: disk.OpRead, Offset: unit, Length: unit}}))
	d.want(1, 0, unit, "beside a range that cannot be read")
	if _, err := d.ReadAt(make([]byte, unit), unit); !errors.Is(err, syscall.EIO) {
		t.Errorf("a read of a bad range gives %v, want an I/O error", err)
	}
	must(t, f.SetFaults(nil))
	d.want(1, unit, unit, "healed")
}

func failsWrite(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, unit)
	must(t, f.SetFaults([]disk.Fault{{Op: disk.OpWrite}}))
	if err := d.tryPut(2, 0, unit); !errors.Is(err, syscall.EIO) {
		t.Errorf("a write gives %v, want an I/O error", err)
	}
	d.want(1, 0, unit, "after a failed write")
	must(t, f.SetFaults(nil))
	d.put(3, 0, unit)
	d.sync()
	d.want(3, 0, unit, "healed")
}

func failsWriteOfRange(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, 4*unit)
	must(t, f.SetFaults([]disk.Fault{{Op: disk.OpWrite, Offset: 2 * unit, Length: unit}}))
	if err := d.tryPut(2, 2*unit, unit); !errors.Is(err, syscall.EIO) {
		t.Errorf("a write to a bad range gives %v, want an I/O error", err)
	}
	d.put(2, unit, unit)
	must(t, f.SetFaults(nil))
	d.want(2, unit, unit, "beside a range that could not be written")
	d.put(3, 2*unit, unit)
	d.want(3, 2*unit, unit, "healed")
}
