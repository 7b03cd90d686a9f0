package fuse

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/conformance"
)

func TestConformance(t *testing.T) {
	needRoot(t)
	for _, profile := range []string{disk.Honest512, disk.Honest4K} {
		t.Run(profile, func(t *testing.T) {
			name := "fuse"
			if profile != disk.Honest512 {
				name = "" // one column of the table is enough
			}
			conformance.Run(t, name, func(t testing.TB) *conformance.Front {
				e, d := attachNew(t, disk.Options{Profile: profile})
				f := conformance.OnEngine(e).UseBlockDevice(d.Path())
				f.Lacks = map[conformance.Capability]string{
					conformance.CapBeside: "the loop driver hands on one request after the other: what comes after a flush that is held back waits for it",
				}
				return f
			})
		})
	}
}

// attachNew attaches a new disk for one test.
func attachNew(t testing.TB, o disk.Options) (*disk.Engine, *Device) {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Size == 0 {
		o.Size = 16 << 20
	}
	must(t, disk.Create(o))
	e, err := disk.Open(o)
	must(t, err)
	t.Cleanup(func() { must(t, e.Close()) })
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	d, err := Attach(ctx, e, filepath.Join(o.Dir, "fuse"))
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		e.Release()
		must(t, d.Detach(ctx))
	})
	return e, d
}
