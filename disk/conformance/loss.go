package conformance

import (
	"testing"

	"github.com/etcdlab/etcdlab/disk"
)

func readsBack(t testing.TB, f *Front) {
	d := open(t, f)
	last := f.Size - unit
	d.put(1, 0, unit)
	d.put(2, unit, 16*unit)
	d.put(3, last, unit)
	d.put(4, 2*unit, unit)
	check := func(when string) {
		t.Helper()
		d.want(1, 0, unit, when)
		d.want(2, unit, unit, when)
		d.want(4, 2*unit, unit, when)
		d.want(2, 3*unit, 14*unit, when)
		d.want(3, last, unit, when)
		d.want(0, 17*unit, unit, when)
	}
	check("before a flush")
	d.sync()
	check("after a flush")
	if _, err := d.ReadAt(make([]byte, unit), f.Size); err == nil {
		t.Error("a read behind the end of the disk succeeds")
	}
}

func syncedSurvives(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, 4*unit)
	d.sync()
	f.cycle(t, disk.Drop, 1)
	d.want(1, 0, 4*unit, "after a sync and a cut that drops")
}

func unsyncedIsLost(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, 2*unit)
	d.sync()
	d.put(2, unit, 2*unit)
	f.cycle(t, disk.Drop, 1)
	d.want(1, 0, 2*unit, "dropped")
	d.want(0, 2*unit, unit, "dropped")
}

func unsyncedIsKept(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, 2*unit)
	d.sync()
	d.put(2, unit, 2*unit)
	f.cycle(t, disk.Keep, 1)
	d.want(1, 0, unit, "kept")
	d.want(2, unit, 2*unit, "kept")
}

// prefixSurvives: of the writes that no flush covered, the first so many
// survive and no others, and not all of them.
func prefixSurvives(t testing.TB, f *Front) {
	d := open(t, f)
	const writes = 8
	for seed := range uint64(6) {
		d.put(1, 0, writes*unit)
		d.sync()
		for i := range int64(writes) {
			d.put(2, i*unit, unit)
		}
		f.cycle(t, disk.Prefix, seed)
		fresh, ended := 0, false
		for i := range int64(writes) {
			if f.freshAtoms(d, i*unit, unit) == 0 {
				ended = true
				continue
			}
			fresh++
			if ended {
				t.Errorf("seed %d: write %d survived, an earlier one did not", seed, i)
			}
		}
		if fresh == writes {
			t.Errorf("seed %d: a prefix lost nothing", seed)
		}
	}
}

func cutCounts(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, unit)
	d.sync()
	if record, _ := f.cycle(t, disk.Drop, 1); record.Uncovered != 0 || record.Flushes == 0 {
		t.Errorf("after a sync the cut found %+v", record)
	}
	d.put(1, 0, unit)
	d.put(2, 2*unit, unit)
	record, choice := f.cycle(t, disk.Drop, 1)
	if record.Uncovered != 2 || f.has(CapDrop) && choice.Dropped != 2 {
		t.Errorf("the cut found %+v and lost %+v, want two writes", record, choice)
	}
}

// cutIsSilent: a disk without power neither fails nor keeps anything, and
// still answers reads.
func cutIsSilent(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, unit)
	d.sync()
	first := f.Cut()
	d.get(0, unit)
	d.put(2, 0, unit)
	d.sync()
	if f.has(CapFUA) {
		_, err := d.WriteFUA(make([]byte, unit), 0)
		must(t, err)
	}
	if f.has(CapDiscard) {
		must(t, d.Discard(0, unit))
	}
	if f.has(CapZeroes) {
		must(t, d.ZeroOut(0, unit))
	}
	if second := f.Cut(); second != first {
		t.Errorf("a second cut gives %+v, the first gave %+v", second, first)
	}
	policy := disk.Keep
	if !f.has(CapKeep) {
		policy = disk.Drop
	}
	_, err := f.Restore(policy, 1)
	must(t, err)
	d.want(1, 0, unit, "after writes to a disk without power")
	d.put(3, 0, unit)
	d.sync()
	d.want(3, 0, unit, "written after the power came back")
}

// noStaleCache: what is opened after a restore sees the crash state, not what
// was cached of the disk before, whoever still looks at it.
func noStaleCache(t testing.TB, f *Front) {
	d := open(t, f)
	d.put(1, 0, unit)
	d.sync()
	d.put(2, 0, unit)
	d.want(2, 0, unit, "before the cut")
	must(t, d.Close())
	read := func() byte {
		t.Helper()
		reopen := f.OpenCached
		if reopen == nil {
			reopen = f.Open
		}
		b, err := reopen()
		must(t, err)
		defer b.Close()
		p := make([]byte, unit)
		_, err = b.ReadAt(p, 0)
		must(t, err)
		return p[0]
	}
	if got := read(); got != 2 {
		t.Errorf("before the cut the device holds %d", got)
	}
	f.cycle(t, disk.Drop, 1)
	if got := read(); got != 1 {
		t.Errorf("after the cut the device holds %d: a cache from before it", got)
	}
}

func fuaSurvives(t testing.TB, f *Front) {
	d := open(t, f)
	_, err := d.WriteFUA(filled(1, 2*unit), 0)
	must(t, err)
	d.want(1, 0, 2*unit, "before the cut")
	f.cycle(t, disk.Drop, 1)
	d.want(1, 0, 2*unit, "written with FUA and then cut off")
}
