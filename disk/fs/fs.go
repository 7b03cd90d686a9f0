// Package fs owns the file systems that disks carry: making one in an image
// with the tools of its own project, mounting it from a block device, and
// unmounting it. Supported are ext4, xfs and btrfs.
package fs

import (
	"fmt"
	"strings"
)

// kind is what there is to know of one kind of file system.
type kind struct {
	name    string
	tool    string // that makes one
	pkg     string // Debian package with the tool
	minimum int64  // bytes that the tool wants
	options string // of mount
}

var kinds = []kind{
	{name: "ext4", tool: "mke2fs", pkg: "e2fsprogs", minimum: 16 << 20},
	// A copy of an image has the UUID of the original, which xfs refuses to
	// mount beside it.
	{name: "xfs", tool: "mkfs.xfs", pkg: "xfsprogs", minimum: 300 << 20, options: "nouuid"},
	{name: "btrfs", tool: "mkfs.btrfs", pkg: "btrfs-progs", minimum: 128 << 20},
}

// Kinds lists the names of the file systems, the default first.
func Kinds() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

func find(name string) (kind, error) {
	for _, k := range kinds {
		if k.name == name {
			return k, nil
		}
	}
	return kind{}, fmt.Errorf("file system %q is not supported: use one of %s", name, strings.Join(Kinds(), ", "))
}

// Tool names the program that makes a file system of this kind, and the Debian
// package that it comes in.
func Tool(name string) (tool, pkg string) {
	k, err := find(name)
	if err != nil {
		return "", ""
	}
	return k.tool, k.pkg
}

// MinimumSize is the size in bytes below which a disk cannot carry a file
// system of this kind; 0 for a kind that is not supported.
func MinimumSize(name string) int64 {
	k, err := find(name)
	if err != nil {
		return 0
	}
	return k.minimum
}

// LazyError says that a file system could not be unmounted and was detached
// instead: it is gone from the directory tree, and its device is freed once
// nothing uses it any longer.
type LazyError struct {
	Dir string
	Err error // why an ordinary unmount failed
}

func (e *LazyError) Error() string {
	return fmt.Sprintf("unmount %s: detached it lazily, something still uses it: %v", e.Dir, e.Err)
}

func (e *LazyError) Unwrap() error { return e.Err }
