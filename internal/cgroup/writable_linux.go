package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// MakeWritable makes groups possible in a hierarchy that is mounted read-only,
// as engines mount it in a container: it needs SYS_ADMIN. Only this mount
// changes.
func (h Hierarchy) MakeWritable() error {
	err := unix.Access(h.Mount, unix.W_OK)
	if errors.Is(err, unix.EROFS) {
		// The other flags of the mount must not be lost, or, in a user
		// namespace, may not be.
		var fs unix.Statfs_t
		if err := unix.Statfs(h.Mount, &fs); err != nil {
			return fmt.Errorf("make %s writable: %w", h.Mount, err)
		}
		flags := uintptr(unix.MS_REMOUNT | unix.MS_BIND)
		for st, ms := range map[int64]uintptr{
			unix.ST_NOSUID: unix.MS_NOSUID, unix.ST_NODEV: unix.MS_NODEV,
			unix.ST_NOEXEC: unix.MS_NOEXEC, unix.ST_RELATIME: unix.MS_RELATIME,
		} {
			if int64(fs.Flags)&st != 0 {
				flags |= ms
			}
		}
		if err := unix.Mount("", h.Mount, "", flags, ""); err != nil {
			return fmt.Errorf("make %s writable: %w (the container needs SYS_ADMIN)", h.Mount, err)
		}
		err = unix.Access(h.Mount, unix.W_OK)
	}
	if err != nil {
		return fmt.Errorf("make groups in %s: %w", h.Mount, err)
	}
	return nil
}

// probeName begins the names of probe's groups; the process's number follows.
const probeName = "etcdlab-probe-"

// probe makes a group, sees that it can be frozen, and removes it, with those of
// processes that were killed between the two.
func (h Hierarchy) probe() error {
	left, _ := filepath.Glob(filepath.Join(h.Mount, probeName+"*")) // the pattern is well-formed
	for _, dir := range left {
		pid := strings.TrimPrefix(filepath.Base(dir), probeName)
		if _, err := os.Stat(filepath.Join("/proc", pid)); errors.Is(err, os.ErrNotExist) {
			_ = os.Remove(dir) // or the next one does
		}
	}
	g, err := h.Create(fmt.Sprintf("%s%d", probeName, os.Getpid()))
	if err != nil {
		return err
	}
	defer os.Remove(g.dir)
	if err := g.write(false); err != nil {
		return fmt.Errorf("freeze groups in %s: %w", h.Mount, err)
	}
	return nil
}

// Usable gives the first hierarchy of the wanted version, or with "" of any, in
// which groups can be made and frozen, after making it writable if need be. The
// error has the reason of each that is not.
func Usable(want Version) (Hierarchy, error) {
	all, err := Hierarchies()
	if err != nil {
		return Hierarchy{}, err
	}
	errs := []error{ErrNone}
	for _, h := range all {
		if want != "" && h.Version != want {
			continue
		}
		err := h.MakeWritable()
		if err == nil {
			err = h.probe()
		}
		if err == nil {
			return h, nil
		}
		errs = append(errs, err)
	}
	return Hierarchy{}, errors.Join(errs...)
}
