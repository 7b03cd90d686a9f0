package agent

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/fs"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// MakeDisk makes and formats a fault disk. The image is formatted as a file, so
// the file system is durable whatever the disk's profile.
func MakeDisk(ctx context.Context, d spec.Disk, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make its disk: %w", err)
	}
	if err := disk.Create(disk.Options{Dir: dir, Size: int64(d.Size), Profile: d.Profile}); err != nil {
		return err
	}
	return fs.Format(ctx, d.FS, disk.ImagePath(dir), disk.BlockSize(d.Profile))
}

// firstDisk makes the member's disk if it never had one. It has its name only
// once it is whole, as an agent may be killed at any step.
func firstDisk(ctx context.Context, c *Config) error {
	dir := DiskDir(c.StateDir)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	half := dir + ".half"
	if err := os.RemoveAll(half); err != nil {
		return fmt.Errorf("make its disk: %w", err)
	}
	if err := MakeDisk(ctx, c.Disk, half); err != nil {
		return err
	}
	if err := os.Rename(half, dir); err != nil {
		return fmt.Errorf("make its disk: %w", err)
	}
	return nil
}
