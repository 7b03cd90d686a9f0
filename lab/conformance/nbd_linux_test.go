package conformance_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/conformance"
)

// TestGuestConformance runs the suite on the block device of a guest: through
// its kernel, virtio, QEMU and the server.
func TestGuestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("missing: time: -short")
	}
	i := guestImage(t)
	for _, profile := range []string{disk.Honest512, disk.Honest4K} {
		t.Run(profile, func(t *testing.T) {
			e, d := attachNew(t, disk.Options{Profile: profile})
			m := boot(t, i, d, disk.BlockSize(profile))
			name := "nbd in a guest"
			if profile != disk.Honest512 {
				name = "" // one column of the table is enough
			}
			conformance.Run(t, name, func(t testing.TB) *conformance.Front {
				// A new disk for each test, without another boot.
				must(t, e.SetFaults(nil))
				must(t, e.Discard(0, e.Size()))
				must(t, e.Flush())
				e.Cut()
				_, err := e.Restore(disk.Drop, 1)
				must(t, err)
				f := conformance.OnEngine(e)
				f.Open = func() (conformance.Device, error) { return shared{m.devices["direct"]}, nil }
				return f
			})
		})
	}
}

// TestPowerLossOfGuest: what a guest's kernel had cached is lost, what its
// device had cached is lost, and what was flushed is there at the next boot.
func TestPowerLossOfGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("missing: time: -short")
	}
	i := guestImage(t)
	e, d := attachNew(t, disk.Options{})
	write := func(d conformance.Device, v byte, off int64) {
		t.Helper()
		_, err := d.WriteAt(bytes.Repeat([]byte{v}, 4096), off)
		must(t, err)
	}
	m := boot(t, i, d, 512)
	write(m.devices["direct"], 1, 0)
	write(m.devices["cached"], 2, 4096)
	must(t, m.devices["cached"].Sync())
	write(m.devices["direct"], 3, 8192)
	write(m.devices["cached"], 4, 12288)
	start := time.Now()
	cut := e.Cut()
	m.kill()
	must(t, d.Disconnect(within(t, time.Minute)))
	choice, err := e.Restore(disk.Drop, 1)
	must(t, err)
	t.Logf("cut %+v, choice %+v, off after %v", cut, choice, time.Since(start).Round(time.Microsecond))
	if cut.Uncovered != 1 || choice.Dropped != 1 {
		t.Errorf("the cut found %+v and lost %+v, want the one write that no flush covered", cut, choice)
	}
	m = boot(t, i, d, 512)
	p := make([]byte, 4*4096)
	_, err = m.devices["direct"].ReadAt(p, 0)
	must(t, err)
	if got, want := [4]byte{p[0], p[4096], p[8192], p[12288]}, [4]byte{1, 2, 0, 0}; got != want {
		t.Errorf("after the power loss the guest finds %v, want %v", got, want)
	}
}
