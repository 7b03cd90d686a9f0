package conformance

import (
	"testing"

	"github.com/etcdlab/etcdlab/disk"
)

// unit is what the tests write at once: a multiple of every block size.
const unit = 4096

// device is an open device that fails its test.
type device struct {
	testing.TB
	Device
}

func open(t testing.TB, f *Front) *device {
	t.Helper()
	d, err := f.Open()
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return &device{t, d}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put writes n bytes of value v at off.
func (d *device) put(v byte, off int64, n int) {
	d.Helper()
	must(d, d.tryPut(v, off, n))
}

func (d *device) tryPut(v byte, off int64, n int) error {
	_, err := d.WriteAt(filled(v, n), off)
	return err
}

func (d *device) sync() {
	d.Helper()
	must(d, d.Sync())
}

// get reads n bytes at off.
func (d *device) get(off int64, n int) []byte {
	d.Helper()
	b := make([]byte, n)
	_, err := d.ReadAt(b, off)
	must(d, err)
	return b
}

// want fails unless n bytes at off are all v.
func (d *device) want(v byte, off int64, n int, when string) {
	d.Helper()
	for i, b := range d.get(off, n) {
		if b != v {
			d.Errorf("%s: %d bytes at %d are not all %d, that at %d is %d", when, n, off, v, off+int64(i), b)
			return
		}
	}
}

// cycle cuts the power and gives it back.
func (f *Front) cycle(t testing.TB, policy disk.Policy, seed uint64) (disk.CutRecord, disk.Choice) {
	t.Helper()
	record := f.Cut()
	choice, err := f.Restore(policy, seed)
	must(t, err)
	if f.has(CapCount) && (choice.Uncovered != record.Uncovered || choice.Dropped+choice.Torn+choice.Kept != choice.Uncovered) {
		t.Errorf("the choice %+v does not add up with the cut %+v", choice, record)
	}
	return record, choice
}
