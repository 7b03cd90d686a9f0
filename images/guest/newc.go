package guest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strings"
)

// Entry is one file of an archive. Its contents are Data, or those of the host's
// file Path; a symbolic link's target is Data.
type Entry struct {
	Name         string      // slash-separated, relative to the guest's root
	Mode         fs.FileMode // type and permissions
	Data         []byte
	Path         string
	Major, Minor uint32 // of a device
}

// Limits of the format, and of the kernel that reads it.
const (
	maxName  = 4096 - 1 // PATH_MAX, less the NUL: a longer one is skipped in silence
	maxSize  = math.MaxUint32
	align    = 4
	blockLen = 512 // archives are padded to it, so that another can follow
)

const (
	newcMagic = "070701"
	trailer   = "TRAILER!!!"
)

// Type bits of a Unix mode.
const (
	modeDir     = 0o040000
	modeFile    = 0o100000
	modeLink    = 0o120000
	modeChar    = 0o020000
	modeBlock   = 0o060000
	modeTypes   = 0o170000
	modeSticky  = 0o001000
	permissions = 0o000777
)

// WriteArchive writes a newc archive of the entries: sorted, parents that are
// missing put in, all of root's, all of 1970. The kernel unpacks archives that
// follow one another, the later file replacing the earlier: what is appended to
// an initrd must start at a multiple of 4, which the end of each is.
func WriteArchive(w io.Writer, entries []Entry) error {
	all, err := complete(entries)
	if err != nil {
		return fmt.Errorf("write initramfs: %w", err)
	}
	a := &archive{w: bufio.NewWriterSize(w, 1<<20)}
	for _, e := range all {
		if err := a.entry(e); err != nil {
			return fmt.Errorf("write initramfs: %s: %w", e.Name, err)
		}
	}
	a.header(trailer, 0, 0, 0, 0)
	a.pad(blockLen)
	if a.err == nil {
		a.err = a.w.Flush()
	}
	if a.err != nil {
		return fmt.Errorf("write initramfs: %w", a.err)
	}
	return nil
}

// complete sorts the entries, after checking them, and adds directories that
// have none: the kernel makes no parents.
func complete(entries []Entry) ([]Entry, error) {
	byName := make(map[string]Entry, len(entries))
	for _, e := range entries {
		if !fs.ValidPath(e.Name) || e.Name == "." || len(e.Name) > maxName || strings.ContainsRune(e.Name, 0) || e.Name == trailer {
			return nil, fmt.Errorf("%.80q is no name for a file in it", e.Name)
		}
		if _, twice := byName[e.Name]; twice {
			return nil, fmt.Errorf("%s is there twice", e.Name)
		}
		byName[e.Name] = e
	}
	for _, e := range entries {
		for dir := path.Dir(e.Name); dir != "."; dir = path.Dir(dir) {
			parent, ok := byName[dir]
			if !ok {
				byName[dir] = Entry{Name: dir, Mode: fs.ModeDir | 0o755}
			} else if !parent.Mode.IsDir() {
				return nil, fmt.Errorf("%s is below %s, which is no directory", e.Name, dir)
			}
		}
	}
	all := make([]Entry, 0, len(byName))
	for _, e := range byName {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

type archive struct {
	w   *bufio.Writer
	n   int64
	ino uint32
	err error
}

func (a *archive) Write(p []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	n, err := a.w.Write(p)
	a.n, a.err = a.n+int64(n), err
	return n, err
}

func (a *archive) pad(to int64) {
	_, _ = a.Write(make([]byte, (to-a.n%to)%to))
}

// header writes an entry's fields: ino, mode, uid, gid, nlink, mtime, size, the
// device's number (none: devices are made anew), the node's, the name's length
// with its NUL, no checksum. An nlink of 1 says that no other entry is the same
// file, so that inode numbers need not differ between archives.
func (a *archive) header(name string, mode, size, major, minor uint32) {
	a.ino++
	fmt.Fprint(a, newcMagic)
	for _, v := range []uint32{a.ino, mode, 0, 0, 1, 0, size, 0, 0, major, minor, uint32(len(name)) + 1, 0} {
		fmt.Fprintf(a, "%08X", v)
	}
	fmt.Fprint(a, name, "\x00")
	a.pad(align)
}

func (a *archive) entry(e Entry) error {
	mode, err := unixMode(e.Mode)
	if err != nil {
		return err
	}
	if e.Path != "" {
		return a.file(e.Name, mode, e.Path)
	}
	if int64(len(e.Data)) > maxSize {
		return errors.New("has more than 4 GiB, which the format cannot say")
	}
	if mode&modeTypes == modeLink && (len(e.Data) == 0 || len(e.Data) > maxName) {
		return errors.New("a symbolic link needs a target")
	}
	a.header(e.Name, mode, uint32(len(e.Data)), e.Major, e.Minor)
	_, _ = io.Copy(a, bytes.NewReader(e.Data))
	a.pad(align)
	return a.err
}

// file writes an entry with the contents of one of the host's files.
func (a *archive) file(name string, mode uint32, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() || mode&modeTypes != modeFile {
		return fmt.Errorf("%s is no regular file", from)
	}
	if st.Size() > maxSize {
		return fmt.Errorf("%s has more than 4 GiB, which the format cannot say", from)
	}
	a.header(name, mode, uint32(st.Size()), 0, 0)
	n, err := io.Copy(a, io.LimitReader(f, st.Size()+1))
	if err == nil && n != st.Size() {
		err = fmt.Errorf("%s changed while it was read", from)
	}
	a.pad(align)
	return errors.Join(err, a.err)
}

func unixMode(m fs.FileMode) (uint32, error) {
	mode := uint32(m.Perm())
	if m&fs.ModeSticky != 0 {
		mode |= modeSticky
	}
	switch m.Type() {
	case 0:
		return mode | modeFile, nil
	case fs.ModeDir:
		return mode | modeDir, nil
	case fs.ModeSymlink:
		return mode | modeLink, nil
	case fs.ModeDevice | fs.ModeCharDevice:
		return mode | modeChar, nil
	case fs.ModeDevice:
		return mode | modeBlock, nil
	}
	return 0, fmt.Errorf("%v is no kind of file that guests get", m)
}
