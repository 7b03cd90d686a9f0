package fs_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/fs"
)

func image(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	must(t, f.Truncate(size))
	must(t, f.Close())
}

func TestFormatErrors(t *testing.T) {
	small := filepath.Join(t.TempDir(), "small.img")
	image(t, small, 1<<20)
	for _, tt := range []struct{ kind, image, want string }{
		{"ntfs", small, "ext4, xfs, btrfs"},
		{"ext4", small, "needs 16 MiB"},
		{"ext4", small + ".none", "no such file"},
	} {
		if tt.kind == "ext4" {
			if err := fs.Check(tt.kind); err != nil {
				t.Skip(err)
			}
		}
		err := fs.Format(context.Background(), tt.kind, tt.image, disk.SectorSize)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("format of %s as %s gives %v, want %q", tt.image, tt.kind, err, tt.want)
		}
	}
	// A service's PATH often has no sbin.
	t.Setenv("PATH", "")
	must(t, fs.Check("ext4"))
}

// The same path and size give the same ext4.
func TestFormatIsDeterministic(t *testing.T) {
	if err := fs.Check("ext4"); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "disk.img")
	var first []byte
	for range 2 {
		_ = os.Remove(path)
		image(t, path, 32<<20)
		must(t, fs.Format(context.Background(), "ext4", path, disk.SectorSize))
		b, err := os.ReadFile(path)
		must(t, err)
		if first == nil {
			first = b
		} else if !bytes.Equal(first, b) {
			t.Error("two runs of the tool gave different images")
		}
	}
}

// A mount that fails says what the kernel said.
func TestMountSaysWhy(t *testing.T) {
	m := mountNew(t, "ext4", disk.Options{})
	ctx := context.Background()
	must(t, fs.Unmount(ctx, m.dir))
	_, err := m.engine.WriteAt(make([]byte, 4096), 0) // the superblock
	must(t, err)
	err = fs.Mount(ctx, m.device.Path(), m.dir, "ext4")
	if err == nil {
		t.Fatal("a file system without a superblock was mounted")
	}
	if f, openErr := os.Open("/dev/kmsg"); openErr == nil {
		f.Close()
		if !strings.Contains(err.Error(), "the kernel says") {
			t.Errorf("the error does not have the kernel's reason: %v", err)
		}
	}
	if err := fs.Mount(ctx, m.device.Path(), m.dir, "ntfs"); err == nil || !strings.Contains(err.Error(), "ext4") {
		t.Errorf("an unknown kind gives %v", err)
	}
}

// What stays busy is detached lazily and said so.
func TestUnmountBusy(t *testing.T) {
	m := mountNew(t, "ext4", disk.Options{})
	f, err := os.Create(filepath.Join(m.dir, "busy"))
	must(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err = fs.Unmount(ctx, m.dir)
	must(t, f.Close())
	var lazy *fs.LazyError
	if !errors.As(err, &lazy) || lazy.Dir != m.dir {
		t.Errorf("unmount of a busy file system gives %v", err)
	}
	must(t, fs.Unmount(context.Background(), m.dir))
}
