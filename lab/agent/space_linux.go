package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/lab"
)

// ballastFile takes the space, beside etcd's directory on the member's own disk:
// whoever looks finds it there, and it goes with the disk.
const ballastFile = "etcdlab-ballast"

// ownDisk is where the member's own file system is mounted.
func (a *Agent) ownDisk() (string, error) {
	if a.disk == nil {
		return "", a.lacks("Filler", LacksOf("plain", "")["Filler"])
	}
	if a.unpowered() || !a.disk.isMounted() {
		return "", Conflict("look at the space of %s: its disk has no power, or is not mounted", a.cfg.Member)
	}
	return filepath.Dir(a.cfg.DataDir), nil
}

// Space says what is left of the member's file system.
func (a *Agent) Space(context.Context) (lab.Space, error) {
	dir, err := a.ownDisk()
	if err != nil {
		return lab.Space{}, err
	}
	return spaceOf(dir)
}

func spaceOf(dir string) (s lab.Space, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return s, fmt.Errorf("look at the space of %s: %w", dir, err)
	}
	// Root may use the blocks that ext4 keeps for it, and etcd is root.
	s.Size, s.Free = int64(st.Blocks)*st.Bsize, int64(st.Bfree)*st.Bsize
	var file unix.Stat_t
	if err := unix.Lstat(filepath.Join(dir, ballastFile), &file); err == nil {
		s.Ballast = file.Blocks * 512
	}
	return s, nil
}

// Fill takes all space that etcd could have, up to the last block, and gives
// leave bytes of it back.
func (a *Agent) Fill(ctx context.Context, leave int64) (lab.Space, error) {
	dir, err := a.ownDisk()
	if err != nil {
		return lab.Space{}, err
	}
	if err := fill(ctx, filepath.Join(dir, ballastFile), leave); err != nil {
		return lab.Space{}, fmt.Errorf("fill the file system of %s: %w", a.cfg.Member, err)
	}
	return spaceOf(dir)
}

// Chunks in which space is taken, in bytes: large ones while there are any.
const (
	largeChunk = 64 << 20
	smallChunk = 4 << 10
)

func fill(ctx context.Context, path string, leave int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end := info.Size()
	for chunk := int64(largeChunk); chunk >= smallChunk; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := unix.Fallocate(int(f.Fd()), 0, end, chunk)
		switch {
		case err == nil:
			end += chunk
		case errors.Is(err, unix.ENOSPC):
			chunk /= 2
		case errors.Is(err, unix.EINTR):
		default:
			return err
		}
	}
	// What a fallocate that failed has taken all the same is the file's, too.
	if err := f.Truncate(max(0, end-leave)); err != nil {
		return err
	}
	return f.Sync()
}

// Unfill removes the ballast, and sees it gone.
func (a *Agent) Unfill(context.Context) (lab.Space, error) {
	dir, err := a.ownDisk()
	if err != nil {
		return lab.Space{}, err
	}
	if err := os.Remove(filepath.Join(dir, ballastFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return lab.Space{}, fmt.Errorf("give the space of %s back: %w", a.cfg.Member, err)
	}
	return spaceOf(dir)
}
