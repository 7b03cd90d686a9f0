package dm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func makeControl() error {
	misc, err := os.ReadFile("/proc/misc")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(misc)) {
		var minor uint32
		var name string
		if n, _ := fmt.Sscan(line, &minor, &name); n == 2 && name == "device-mapper" {
			if err := os.MkdirAll(controlDir, 0o755); err != nil {
				return err
			}
			return makeNode(controlPath, unix.S_IFCHR, Number{miscMajor, minor})
		}
	}
	return noMapper()
}

func makeNode(path string, kind uint32, n Number) error {
	err := unix.Mknod(path, kind|0o600, int(unix.Mkdev(n.Major, n.Minor)))
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("make %s: %w: the container needs MKNOD and a device rule for %v", path, err, n)
	}
	return nil
}

// Path is where a device's node is.
func Path(name string) string { return filepath.Join(controlDir, name) }

// nodeOf makes the node of a device where no udev does.
func nodeOf(name string, n Number) (string, error) {
	path := Path(name)
	if is(path, n) {
		return path, nil
	}
	// One that another device of that name had.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return path, makeNode(path, unix.S_IFBLK, n)
}

func is(path string, n Number) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK &&
		Number{unix.Major(st.Rdev), unix.Minor(st.Rdev)} == n
}

func removeNode(name string) error {
	if err := os.Remove(Path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
