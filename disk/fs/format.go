package fs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Check fails if this machine cannot make or mount a file system of the kind,
// and says what to install.
func Check(name string) error {
	if err := CheckTool(name); err != nil {
		return err
	}
	return checkKernel(name)
}

// CheckTool fails if this machine cannot make a file system of the kind, for
// another to mount.
func CheckTool(name string) error {
	k, err := find(name)
	if err != nil {
		return err
	}
	if _, err := LookPath(k.tool); err != nil {
		return fmt.Errorf("make a file system %s: %s is not installed: install the Debian package %s", name, k.tool, k.pkg)
	}
	return nil
}

// LookPath finds a tool also where the PATH of an ordinary user or of a
// service does not look.
func LookPath(tool string) (string, error) {
	path, err := exec.LookPath(tool)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, tool)); err == nil {
			return path, nil
		}
	}
	return "", err
}

// Format makes a file system of the kind in an image file. It destroys what
// the image holds. block is the disk's logical block size in bytes. Where the
// tool can be told, the same path and size give the same file system.
func Format(ctx context.Context, name, image string, block int64) error {
	if err := CheckTool(name); err != nil {
		return err
	}
	k, err := find(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(image)
	if err != nil {
		return fmt.Errorf("format %s: %w", image, err)
	}
	if info.Size() < k.minimum {
		return fmt.Errorf("format %s: %s needs %d MiB, the image has %d: make the disk larger",
			image, name, k.minimum>>20, info.Size()>>20)
	}
	tool, err := LookPath(k.tool)
	if err != nil {
		return fmt.Errorf("format %s: %w", image, err)
	}
	cmd := apart(ctx, name, tool, arguments(name, image, uuid(image), info.Size(), block))
	// mke2fs takes its times from the first of these, and from the second
	// where it is older.
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000", "E2FSPROGS_FAKE_TIME=1700000000", "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("format %s: %s: %w: %s", image, k.tool, err, strings.TrimSpace(string(out))), ctx.Err())
	}
	return nil
}

// arguments of the tools. Nothing is left for the kernel to initialise later:
// it would show up in the write log as writes that nobody made. No discards:
// the image is fresh, and punching it takes time.
func arguments(name, image, uuid string, size, block int64) []string {
	switch name {
	case "xfs":
		return []string{"-q", "-f", "-K", "-s", fmt.Sprintf("size=%d", block), "-m", "uuid=" + uuid, image}
	case "btrfs":
		return []string{"-q", "-f", "-K", "-U", uuid, image}
	default:
		journal := "size=16"
		if size < 128<<20 {
			journal = "size=4" // the least that mke2fs makes
		}
		return []string{"-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-U", uuid, "-J", journal,
			"-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0,hash_seed=" + uuid, image}
	}
}

// uuid is made from the path, because btrfs refuses to mount two file systems
// of one UUID at the same time.
func uuid(image string) string {
	if abs, err := filepath.Abs(image); err == nil {
		image = abs
	}
	h := sha256.Sum256([]byte("etcdlab " + image))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
