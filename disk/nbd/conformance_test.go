package nbd

import (
	"testing"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/conformance"
)

func TestConformance(t *testing.T) {
	for _, profile := range []string{disk.Honest512, disk.Honest4K, disk.FUA} {
		t.Run(profile, func(t *testing.T) {
			name := "nbd"
			if profile != disk.Honest512 {
				name = "" // one column of the table is enough
			}
			conformance.Run(t, name, func(t testing.TB) *conformance.Front {
				e, d := attachNew(t, disk.Options{Profile: profile})
				return front(t, e, d)
			})
		})
	}
}

// front is a disk as the tests' client sees it.
func front(t testing.TB, e *disk.Engine, d *Device) *conformance.Front {
	f := conformance.OnEngine(e)
	f.Open = func() (conformance.Device, error) { return dialName(t, d.Path(), ExportName) }
	return f
}
