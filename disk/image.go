package disk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The files of a disk's directory. The image holds what is durable, and only
// that; the logs are swapped at a cut, so that the last one can be asked for.
// The one with the higher epoch is written.
const (
	imageName  = "disk.img"
	baseName   = "base.img"
	configName = "disk.json"
)

var logNames = [2]string{"disk.log.0", "disk.log.1"}

// ImagePath is the durable image in a disk's directory: a raw image, to be
// formatted before Open or read after Close.
func ImagePath(dir string) string { return filepath.Join(dir, imageName) }

// BasePath is, with KeepLog, the image as it was before the log's first entry.
func BasePath(dir string) string { return filepath.Join(dir, baseName) }

// config is what a disk's directory says of the disk.
type config struct {
	Size    int64  `json:"size"` // bytes
	Profile string `json:"profile"`
	Block   int64  `json:"block"` // bytes; what file systems were made for
}

func readConfig(dir string) (config, error) {
	var c config
	b, err := os.ReadFile(filepath.Join(dir, configName))
	if errors.Is(err, os.ErrNotExist) {
		return c, fmt.Errorf("open the disk in %s: there is none: create it first", dir)
	}
	if err != nil {
		return c, fmt.Errorf("open the disk in %s: %w", dir, err)
	}
	if err := json.Unmarshal(b, &c); err != nil || c.Size <= 0 {
		return c, fmt.Errorf("open the disk in %s: %s is damaged: create the disk again (%v)", dir, configName, err)
	}
	return c, nil
}

// writeConfig replaces the file whole, so that a kill leaves the old or the new.
func writeConfig(dir string, c config) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, configName)
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// image is the durable image file. It is a Target.
type image struct{ *os.File }

// ZeroAt implements Target.
func (im image) ZeroAt(off, n int64) error {
	if punchHole(im.File, off, n) == nil {
		return nil
	}
	zero := make([]byte, min(n, chunk))
	for n > 0 {
		b := zero[:min(n, chunk)]
		if _, err := im.WriteAt(b, off); err != nil {
			return err
		}
		off, n = off+int64(len(b)), n-int64(len(b))
	}
	return nil
}

// FileTarget makes a file the target of Replay.
func FileTarget(f *os.File) Target { return image{f} }

// copySparse copies the file src to a new file dst and leaves out what is zero.
func copySparse(dst, src string) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := out.Truncate(info.Size()); err != nil {
		return err
	}
	buf := make([]byte, chunk)
	for off := int64(0); off < info.Size(); {
		start, ok := nextData(in, off)
		if !ok {
			break
		}
		off = start / overlayBlock * overlayBlock
		n, err := in.ReadAt(buf, off)
		if err != nil && err != io.EOF {
			return err
		}
		for at := 0; at < n; at += overlayBlock {
			b := buf[at:min(at+overlayBlock, n)]
			if allZero(b) {
				continue
			}
			if _, err := out.WriteAt(b, off+int64(at)); err != nil {
				return err
			}
		}
		off += int64(n)
	}
	return nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
