package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// thaw is HelperThaw.
func thaw(id string) error {
	const shortest = 12 // an ID's that the docker command shows
	if len(id) < shortest || strings.ContainsAny(id, "/.") {
		return fmt.Errorf("thaw: %q is no container's ID", id)
	}
	root, err := os.MkdirTemp("", "freezer-*")
	if err != nil {
		return fmt.Errorf("thaw: %w", err)
	}
	defer os.Remove(root)
	if err := unix.Mount("none", root, "cgroup", 0, "freezer"); err != nil {
		return fmt.Errorf("thaw: mount the v1 freezer: %w", err)
	}
	defer unix.Unmount(root, unix.MNT_DETACH)
	var groups []string
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "freezer.state" && slices.Contains(strings.Split(path, "/"), id) {
			groups = append(groups, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		return err
	})
	for _, file := range groups {
		if failed := os.WriteFile(file, []byte("THAWED"), 0); failed != nil && !errors.Is(failed, fs.ErrNotExist) && !errors.Is(failed, unix.ENODEV) {
			err = errors.Join(err, fmt.Errorf("thaw: %w", failed))
		}
	}
	return err
}
