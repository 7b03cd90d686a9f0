package guest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// ReadArchive reads the entries of an initrd, which is one newc archive after
// another, as the kernel does: zeros between them are skipped, and each starts
// at a multiple of 4.
func ReadArchive(data []byte) ([]Entry, error) {
	var all []Entry
	for at := 0; at < len(data); {
		if data[at] == 0 {
			at++
			continue
		}
		if at%align != 0 {
			return nil, fmt.Errorf("read initramfs: an archive starts at byte %d, which is no multiple of %d", at, align)
		}
		e, next, err := readEntry(data, at)
		if err != nil {
			return nil, fmt.Errorf("read initramfs: byte %d: %w", at, err)
		}
		at = next
		if e.Name != trailer {
			all = append(all, e)
		}
	}
	return all, nil
}

var errShort = errors.New("it ends within an entry")

// headerLen is the magic and 13 numbers of 8 hexadecimal digits.
const headerLen = len(newcMagic) + 13*8

func readEntry(data []byte, at int) (e Entry, next int, err error) {
	if len(data)-at < headerLen {
		return e, 0, errShort
	}
	if string(data[at:at+len(newcMagic)]) != newcMagic {
		return e, 0, errors.New("no newc header")
	}
	var field [13]uint32
	for i := range field {
		digits := data[at+len(newcMagic)+8*i:][:8]
		v, err := strconv.ParseUint(string(digits), 16, 32)
		if err != nil {
			return e, 0, fmt.Errorf("%q is no number", digits)
		}
		field[i] = uint32(v)
	}
	size, nameLen := int64(field[6]), int64(field[11])
	name := int64(at + headerLen)
	body := roundUp(name + nameLen)
	if nameLen < 2 || nameLen > maxName+1 || body+size > int64(len(data)) {
		return e, 0, errShort
	}
	raw := data[name : name+nameLen]
	if bytes.IndexByte(raw, 0) != len(raw)-1 {
		return e, 0, errors.New("a name without its end")
	}
	e.Name = string(raw[:len(raw)-1])
	if e.Name != trailer {
		if e.Mode, err = fileMode(field[1]); err != nil {
			return e, 0, err
		}
	}
	e.Data, e.Major, e.Minor = data[body:body+size], field[9], field[10]
	return e, int(min(roundUp(body+size), int64(len(data)))), nil
}

func roundUp(n int64) int64 { return (n + align - 1) / align * align }

func fileMode(mode uint32) (fs.FileMode, error) {
	m := fs.FileMode(mode & permissions)
	if mode&modeSticky != 0 {
		m |= fs.ModeSticky
	}
	switch mode & modeTypes {
	case modeFile:
		return m, nil
	case modeDir:
		return m | fs.ModeDir, nil
	case modeLink:
		return m | fs.ModeSymlink, nil
	case modeChar:
		return m | fs.ModeDevice | fs.ModeCharDevice, nil
	case modeBlock:
		return m | fs.ModeDevice, nil
	}
	return 0, fmt.Errorf("mode %o is of no kind of file that guests get", mode)
}
