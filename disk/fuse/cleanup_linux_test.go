package fuse

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/fs"
)

// leftovers lists the mounts below dir and the loop devices over files in it.
func leftovers(t *testing.T, dir string) (left []string) {
	t.Helper()
	mounts, err := readMounts()
	must(t, err)
	for _, m := range mounts {
		if strings.HasPrefix(m.dir, dir) {
			left = append(left, m.dir)
		}
	}
	loops, err := loopsOver(filepath.Join(dir, "fuse"))
	must(t, err)
	for _, l := range loops {
		left = append(left, l.path())
	}
	return left
}

// TestCleanUpAfterKill kills the process that serves a disk, with its file
// system mounted and busy, and expects CleanUp to leave nothing.
func TestCleanUpAfterKill(t *testing.T) {
	needRoot(t)
	for _, kind := range fs.Kinds() {
		t.Run(kind, func(t *testing.T) {
			if err := fs.Check(kind); err != nil {
				t.Skip(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			dir := t.TempDir()
			must(t, disk.Create(disk.Options{Dir: dir, Size: fs.MinimumSize(kind)}))
			must(t, fs.Format(ctx, kind, disk.ImagePath(dir), disk.SectorSize))
			c := startChild(t, dir)
			mnt := filepath.Join(dir, "mnt")
			must(t, fs.Mount(ctx, c.device, mnt, kind))
			f, err := os.Create(filepath.Join(mnt, "busy"))
			must(t, err)
			_, err = f.WriteString("dirty")
			must(t, err)
			must(t, c.cmd.Process.Kill())
			_ = c.cmd.Wait()
			if len(leftovers(t, dir)) < 3 {
				t.Fatalf("the kill left only %v: nothing to clean up", leftovers(t, dir))
			}
			// One dead disk must not keep others from being made.
			for _, other := range fs.Kinds() {
				if fs.Check(other) == nil {
					image := filepath.Join(dir, "other."+other)
					must(t, os.WriteFile(image, nil, 0o600))
					must(t, os.Truncate(image, fs.MinimumSize(other)))
					must(t, fs.Format(ctx, other, image, disk.SectorSize))
				}
			}
			clean := make(chan error, 1)
			go func() { clean <- CleanUp(ctx, filepath.Join(dir, "fuse")) }()
			// The open file keeps the unmounted file system and its loop
			// device alive until it is closed.
			time.Sleep(50 * time.Millisecond)
			_ = f.Close()
			must(t, <-clean)
			if left := leftovers(t, dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			must(t, CleanUp(ctx, filepath.Join(dir, "fuse")))

			// What was flushed is there when the disk is served again.
			e, err := disk.Open(disk.Options{Dir: dir})
			must(t, err)
			d, err := Attach(ctx, e, filepath.Join(dir, "fuse"))
			must(t, err)
			must(t, fs.Mount(ctx, d.Path(), mnt, kind))
			must(t, fs.Unmount(ctx, mnt))
			must(t, d.Detach(ctx))
			must(t, d.Detach(ctx))
			must(t, e.Close())
		})
	}
}

// A flush that is held back, or a server that is stuck, must not block it.
func TestCleanUpOfHangingServer(t *testing.T) {
	needRoot(t)
	e, d := attachNew(t, disk.Options{})
	e.Hold(context.Background(), 0)
	f, err := os.OpenFile(d.Path(), os.O_RDWR, 0)
	must(t, err)
	_, err = f.Write(make([]byte, 4096))
	must(t, err)
	synced := make(chan error, 1)
	go func() { synced <- f.Sync() }()
	e.Hold(context.Background(), time.Minute)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	clean := make(chan error, 1)
	go func() { clean <- CleanUp(ctx, d.dir) }()
	if err := <-synced; err == nil {
		t.Error("a flush whose server went away succeeded")
	}
	must(t, f.Close())
	must(t, <-clean)
	if left := leftovers(t, filepath.Dir(d.dir)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A loop device is found, too, when somebody has unmounted FUSE below it.
func TestCleanUpAfterLazyUnmount(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	must(t, disk.Create(disk.Options{Dir: dir, Size: 16 << 20}))
	c := startChild(t, dir)
	front := filepath.Join(dir, "fuse")
	must(t, unix.Unmount(front, unix.MNT_DETACH))
	if left := leftovers(t, dir); len(left) != 1 || left[0] != c.device {
		t.Fatalf("after a lazy unmount there is %v, want %s", left, c.device)
	}
	must(t, CleanUp(context.Background(), front))
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCleanUpOfNothing(t *testing.T) {
	must(t, CleanUp(context.Background(), filepath.Join(t.TempDir(), "fuse")))
}

// A device whose file system is mounted is not detached under it.
func TestDetachWhileMounted(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	ctx := context.Background()
	must(t, disk.Create(disk.Options{Dir: dir, Size: 32 << 20}))
	must(t, fs.Format(ctx, "ext4", disk.ImagePath(dir), disk.SectorSize))
	e, err := disk.Open(disk.Options{Dir: dir})
	must(t, err)
	defer e.Close()
	d, err := Attach(ctx, e, filepath.Join(dir, "fuse"))
	must(t, err)
	mnt := filepath.Join(dir, "mnt")
	must(t, fs.Mount(ctx, d.Path(), mnt, "ext4"))
	// Long enough to get to the kernel's answer on a busy machine.
	short, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := d.Detach(short); err == nil || !strings.Contains(err.Error(), "unmount") {
		t.Errorf("detach of a mounted device gives %v", err)
	}
	must(t, fs.Unmount(ctx, mnt))
	must(t, d.Detach(ctx))
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestParseMounts(t *testing.T) {
	got := parseMounts(`36 35 7:3 / /mnt/a\040b rw,noatime master:1 - ext4 /dev/loop3 rw,errors=continue
37 35 0:42 / /run/x rw - fuse.etcdlab etcdlab rw,user_id=0
short line
38 35 x:y / /run/y rw - tmpfs tmpfs rw
`)
	want := []mount{
		{7, 3, "/mnt/a b", "ext4", "/dev/loop3"},
		{0, 42, "/run/x", "fuse.etcdlab", "etcdlab"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("parsed %+v, want %+v", got, want)
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add("36 35 7:3 / /mnt/a\\040b rw - ext4 /dev/loop3 rw\n")
	f.Add("36 35 7:3 / /mnt/\\9 rw - - -\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, m := range parseMounts(s) {
			if m.kind == "" {
				t.Error("a mount without a type")
			}
		}
	})
}
