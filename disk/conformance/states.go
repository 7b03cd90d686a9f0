package conformance

import (
	"testing"

	"github.com/etcdlab/etcdlab/disk"
)

// zeroed is what is zeroed of the range that the tests write.
const ranged, zeroed = 1 << 20, 16 * unit

func discardReadsZero(t testing.TB, f *Front) {
	d := open(t, f)
	readsZero(t, d, d.Discard)
}

func zeroesReadZero(t testing.TB, f *Front) {
	d := open(t, f)
	readsZero(t, d, d.ZeroOut)
}

func readsZero(t testing.TB, d *device, zero func(off, n int64) error) {
	t.Helper()
	d.put(1, 0, ranged)
	d.sync()
	must(t, zero(unit, zeroed))
	check := func(when string) {
		t.Helper()
		d.want(1, 0, unit, when)
		d.want(0, unit, zeroed, when)
		d.want(1, unit+zeroed, ranged-zeroed-unit, when)
	}
	check("after it")
	d.sync()
	check("after it and a sync")
}

func discardIsVolatile(t testing.TB, f *Front) {
	d := open(t, f)
	isVolatile(t, f, d, d.Discard)
}

func zeroesAreVolatile(t testing.TB, f *Front) {
	d := open(t, f)
	isVolatile(t, f, d, d.ZeroOut)
}

func isVolatile(t testing.TB, f *Front, d *device, zero func(off, n int64) error) {
	t.Helper()
	d.put(1, 0, ranged)
	d.sync()
	must(t, zero(0, zeroed))
	f.cycle(t, disk.Drop, 1)
	d.want(1, 0, ranged, "after a cut that dropped it")
	must(t, zero(0, zeroed))
	d.sync()
	f.cycle(t, disk.Drop, 1)
	d.want(0, 0, zeroed, "after a sync and a cut")
	if !f.has(CapKeep) {
		return
	}
	must(t, zero(zeroed, zeroed))
	f.cycle(t, disk.Keep, 1)
	d.want(0, 0, 2*zeroed, "after a cut that kept it")
	d.want(1, 2*zeroed, ranged-2*zeroed, "after a cut that kept it")
}

// randomStates: some seeds lose some and keep others, and none tears.
func randomStates(t testing.TB, f *Front) {
	mixed, torn := states(t, f, disk.Random, 12)
	if mixed == 0 || torn != 0 {
		t.Errorf("12 seeds gave %d states that lose some and keep some, and %d torn writes", mixed, torn)
	}
}

func tornStates(t testing.TB, f *Front) {
	if _, torn := states(t, f, disk.Torn, 12); torn == 0 {
		t.Error("12 seeds tore no write")
	}
}

// states: what the choice says is what the disk holds, and every atom is old
// or new.
func states(t testing.TB, f *Front, policy disk.Policy, seeds uint64) (mixed, torn int) {
	t.Helper()
	d := open(t, f)
	const writes, length = 8, 8 * unit
	for seed := range seeds {
		d.put(1, 0, writes*length)
		d.sync()
		for i := range int64(writes) {
			d.put(2, i*length, length)
		}
		record, choice := f.cycle(t, policy, seed)
		if f.has(CapCount) && record.Uncovered != writes {
			t.Fatalf("the cut found %+v, want %d uncovered writes", record, writes)
		}
		var seen disk.Choice
		for i := range int64(writes) {
			switch f.freshAtoms(d, i*length, length) {
			case 0:
				seen.Dropped++
			case length / int(f.Atom):
				seen.Kept++
			default:
				seen.Torn++
			}
		}
		if f.has(CapCount) && (seen.Dropped != choice.Dropped || seen.Torn != choice.Torn || seen.Kept != choice.Kept) {
			t.Errorf("seed %d: the choice is %+v, the disk shows %+v", seed, choice, seen)
		}
		if seen.Dropped > 0 && seen.Kept > 0 {
			mixed++
		}
		torn += seen.Torn
	}
	return mixed, torn
}

// freshAtoms counts the atoms that hold 2; any other holds 1.
func (f *Front) freshAtoms(d *device, off int64, n int) (fresh int) {
	d.Helper()
	b := d.get(off, n)
	for at := 0; at < n; at += int(f.Atom) {
		v := b[at]
		for _, c := range b[at : at+int(f.Atom)] {
			if c != v || v != 1 && v != 2 {
				d.Fatalf("the atom at %d is neither old nor new", off+int64(at))
			}
		}
		if v == 2 {
			fresh++
		}
	}
	return fresh
}
