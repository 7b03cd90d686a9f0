package agent

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/conformance"
	"github.com/etcdlab/etcdlab/disk/fuse"
)

// TestBlockIO puts a member's disk through the suite from outside: every
// operation is done by a helper process of the agent.
func TestBlockIO(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("missing: root, to attach a disk")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("missing: /dev/fuse")
	}
	must := func(t testing.TB, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	conformance.Run(t, "", func(t testing.TB) *conformance.Front {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		dir := t.TempDir()
		must(t, disk.Create(disk.Options{Dir: dir, Size: 16 << 20}))
		e, err := disk.Open(disk.Options{Dir: dir})
		must(t, err)
		d, err := fuse.Attach(ctx, e, filepath.Join(dir, "fuse"))
		must(t, err)
		t.Cleanup(func() {
			defer cancel()
			e.Release()
			must(t, d.Detach(ctx))
			must(t, e.Close())
		})
		over := func(args ...string) func() (conformance.Device, error) {
			return func() (conformance.Device, error) {
				return conformance.DeviceOver(ctx, func(ctx context.Context, in io.Reader, out io.Writer) error {
					cmd := exec.CommandContext(ctx, os.Args[0], append([]string{"agent", helperBlockIO}, args...)...)
					cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
					cmd.WaitDelay = time.Second // its input stays open when it dies
					return cmd.Run()
				})
			}
		}
		f := conformance.OnEngine(e)
		f.Open, f.OpenCached = over(d.Path()), over("--cached", d.Path())
		f.Lacks = map[conformance.Capability]string{
			conformance.CapBeside: "the loop driver hands on one request after the other: what comes after a flush that is held back waits for it",
		}
		return f
	})
}
