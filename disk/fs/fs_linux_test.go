package fs_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/fs"
	"github.com/etcdlab/etcdlab/disk/fuse"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mounted is a file system on an attached disk.
type mounted struct {
	t      *testing.T
	kind   string
	dir    string // where it is mounted
	engine *disk.Engine
	device *fuse.Device
}

func mountNew(t *testing.T, kind string, o disk.Options) *mounted {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("this machine has no FUSE")
	}
	if err := fs.Check(kind); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	o.Dir = t.TempDir()
	if o.Size == 0 {
		o.Size = fs.MinimumSize(kind) + 64<<20
	}
	must(t, disk.Create(o))
	must(t, fs.Format(ctx, kind, disk.ImagePath(o.Dir), disk.BlockSize(o.Profile)))
	e, err := disk.Open(o)
	must(t, err)
	t.Cleanup(func() { must(t, e.Close()) })
	d, err := fuse.Attach(ctx, e, filepath.Join(o.Dir, "fuse"))
	must(t, err)
	m := &mounted{t: t, kind: kind, dir: filepath.Join(o.Dir, "mnt"), engine: e, device: d}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		must(t, fs.Unmount(ctx, m.dir))
		must(t, d.Detach(ctx))
	})
	must(t, fs.Mount(ctx, d.Path(), m.dir, kind))
	return m
}

// lose cuts the power and gives it back.
func (m *mounted) lose(policy disk.Policy, seed uint64) (disk.CutRecord, disk.Choice) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	record := m.engine.Cut()
	must(m.t, fs.Unmount(ctx, m.dir))
	choice, err := m.engine.Restore(policy, seed)
	must(m.t, err)
	must(m.t, fs.Mount(ctx, m.device.Path(), m.dir, m.kind))
	return record, choice
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path, data string, sync bool) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	_, err = f.WriteString(data)
	must(t, err)
	if sync {
		must(t, f.Sync())
	}
	must(t, f.Close())
}

func TestSyncedFileSurvives(t *testing.T) {
	for _, kind := range fs.Kinds() {
		t.Run(kind, func(t *testing.T) {
			m := mountNew(t, kind, disk.Options{})
			writeFile(t, filepath.Join(m.dir, "synced"), "synced", true)
			writeFile(t, filepath.Join(m.dir, "unsynced"), "unsynced", false)
			record, choice := m.lose(disk.Drop, 1)
			t.Logf("%+v %+v", record, choice)
			b, err := os.ReadFile(filepath.Join(m.dir, "synced"))
			must(t, err)
			if string(b) != "synced" {
				t.Errorf("a synced file holds %q after the cut", b)
			}
			if _, err := os.Stat(filepath.Join(m.dir, "unsynced")); err == nil {
				t.Error("a file that only the page cache knew is there after the cut")
			}
		})
	}
}

// A file system is made for its disk's block size, and mounts again whatever
// profile is armed later.
func TestBlockSizeStays(t *testing.T) {
	for _, kind := range fs.Kinds() {
		for made, later := range map[string]string{disk.Honest4K: disk.Honest512, disk.Honest512: disk.Honest4K} {
			t.Run(kind+"/"+made, func(t *testing.T) {
				m := mountNew(t, kind, disk.Options{Profile: made})
				must(t, os.WriteFile(filepath.Join(m.dir, "f"), []byte("kept"), 0o600))
				must(t, m.engine.SetProfile(later))
				ctx := context.Background()
				must(t, fs.Unmount(ctx, m.dir))
				must(t, m.device.Detach(ctx))
				device, err := fuse.Attach(ctx, m.engine, filepath.Join(t.TempDir(), "front"))
				must(t, err)
				defer func() { must(t, device.Detach(ctx)) }()
				must(t, fs.Mount(ctx, device.Path(), m.dir, kind))
				must(t, fs.Unmount(ctx, m.dir))
			})
		}
	}
}

// TestUnmountEndsTheFileSystem: a copy of the mount in another namespace keeps the
// file system alive, and its writes would reach the disk after a restore.
func TestUnmountEndsTheFileSystem(t *testing.T) {
	for _, kind := range fs.Kinds() {
		t.Run(kind, func(t *testing.T) {
			m := mountNew(t, kind, disk.Options{})
			writeFile(t, filepath.Join(m.dir, "a"), "synced", true)
			other := exec.Command("sleep", "0.3")
			other.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
			must(t, other.Start())
			ended := make(chan error, 1)
			go func() { ended <- other.Wait() }()
			writeFile(t, filepath.Join(m.dir, "b"), "not synced", false)
			m.lose(disk.Drop, 1)
			select {
			case err := <-ended:
				must(t, err)
			default:
				t.Error("the file system was mounted again while another namespace had it")
				must(t, <-ended)
			}
			if _, err := os.Stat(filepath.Join(m.dir, "b")); err == nil {
				t.Error("a file that only the page cache knew is there after the cut")
			}
			if _, err := os.Stat(filepath.Join(m.dir, "a")); err != nil {
				t.Error(err)
			}
		})
	}
}
