//go:build linux

package vm

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/conformance"
	"github.com/etcdlab/etcdlab/disk/nbd"
	"github.com/etcdlab/etcdlab/images/guest"
)

// TestDiskSuite runs the suite for disks in a guest, on the engine behind NBD
// and QEMU: what reaches the disk, and when it is durable, is up to both. A boot
// for each test would take too long, so the guest has a disk for each.
func TestDiskSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("missing: time; it takes a minute where guests are emulated")
	}
	const disks, size = 40, 16 << 20 // more than the suite has tests
	f := newFixture(t, 1, nil)
	h := f.machine(t)
	var engines []*disk.Engine
	for i := range disks {
		e, d := served(t, size)
		engines = append(engines, e)
		name := fmt.Sprintf("spare%d", i)
		h.c.extra = append(h.c.extra,
			"-blockdev", fmt.Sprintf(`{"node-name":%q,"driver":"nbd","discard":"unmap","server":{"type":"unix","path":%q}}`, name, d.Path()),
			// Many to a slot, of which there are too few.
			"-device", fmt.Sprintf("virtio-blk-pci,drive=%s,serial=%s,addr=0x%x.%x,multifunction=on,num-queues=1,werror=report,rerror=report", name, name, 0x10+i/8, i%8))
	}
	if err := h.boot(f.ctx); err != nil {
		t.Fatal(err)
	}
	next := 0
	conformance.Run(t, "nbd in a vm", func(t testing.TB) *conformance.Front {
		i := next
		next++
		front := conformance.OnEngine(engines[i])
		// vda is the member's own; then b to z, and aa to ...
		path := "/dev/vd" + letters(i+1)
		open := func(flags ...string) func() (conformance.Device, error) {
			return func() (conformance.Device, error) {
				return conformance.DeviceOver(f.ctx, func(ctx context.Context, in io.Reader, out io.Writer) error {
					_, err := h.Exec(ctx, append(append([]string{guest.AgentBin, "agent", "blockio"}, flags...), path), in, out, os.Stderr)
					return err
				})
			}
		}
		front.Open, front.OpenCached = open(), open("--cached")
		return front
	})
}

// letters counts as the kernel names disks: a to z, aa to az.
func letters(i int) string {
	if i < 26 {
		return string(rune('a' + i))
	}
	return string(rune('a'+i/26-1)) + string(rune('a'+i%26))
}

// served is an engine behind a server.
func served(t *testing.T, size int64) (*disk.Engine, *nbd.Device) {
	t.Helper()
	dir := t.TempDir()
	if err := disk.Create(disk.Options{Dir: dir, Size: size}); err != nil {
		t.Fatal(err)
	}
	e, err := disk.Open(disk.Options{Dir: dir, KeepLog: true})
	if err != nil {
		t.Fatal(err)
	}
	sockets, err := os.MkdirTemp("", "vmd") // a path that is short
	if err != nil {
		t.Fatal(err)
	}
	d, err := nbd.Attach(t.Context(), e, sockets)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Release()
		if err := d.Detach(context.Background()); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		os.RemoveAll(sockets)
	})
	return e, d
}

// machine is the only member of the lab as a host in this process, not booted.
func (f *fixture) machine(t *testing.T) *host {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := newBuild(f.Provider, f.spec, f.images)
	must(err)
	must(b.chooseMachine(f.ctx))
	must(os.MkdirAll(runDir(f.spec.Name), 0o700))
	must(os.MkdirAll(b.m.StateDir, 0o700))
	must(b.describe(f.ctx))
	must(b.certificates())
	mm := b.m.Members[0]
	must(os.MkdirAll(mm.Dir, 0o700))
	must(os.MkdirAll(mm.StateDir, 0o700))
	must(makeDisk(f.ctx, f.spec.Disk, mm.StateDir))
	must(b.writeInitrd(0))
	c := b.machineConfig(0)
	c.dir = mm.Dir
	h, err := prepareHost(f.ctx, c, slog.New(slog.NewTextHandler(io.Discard, nil)))
	must(err)
	t.Cleanup(func() {
		if err := h.Shutdown(context.Background(), true); err != nil {
			t.Error(err)
		}
	})
	return h
}
