package guest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// trimmed gives the entries with smaller copies of the programs in BinDir, made
// in work: a guest unpacks its initramfs at each boot, and keeps it in memory.
func trimmed(files []Entry, work string) ([]Entry, error) {
	files = append([]Entry{}, files...)
	for i, e := range files {
		if e.Path == "" || "/"+path.Dir(e.Name) != BinDir {
			continue
		}
		data, err := os.ReadFile(e.Path)
		if err != nil {
			return nil, err
		}
		if data, err = trim(data); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		files[i].Path = filepath.Join(work, strings.ReplaceAll(e.Name, "/", "-"))
		if err := os.WriteFile(files[i].Path, data, 0o600); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Places in the header of a 64-bit ELF file of the sections' table: its offset,
// and the size and number of its entries and the index of that with their names.
const (
	sectionsAt     = 0x28
	sectionCountAt = 0x3c
	sectionNamesAt = 0x3e
)

// trim takes off what a static program's loading does not need: the symbols and
// debugging information behind its last segment, and the table of sections.
// Go's stack traces do not come from there. What is no such program stays whole.
func trim(program []byte) ([]byte, error) {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return nil, fmt.Errorf("read program: %w", err)
	}
	if f.Class != elf.ELFCLASS64 || f.ByteOrder != binary.LittleEndian {
		return program, nil
	}
	var end uint64
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			return program, nil
		}
		if p.Filesz > uint64(len(program)) || p.Off > uint64(len(program))-p.Filesz {
			return nil, fmt.Errorf("read program: a segment lies beyond its end")
		}
		end = max(end, p.Off+p.Filesz)
	}
	if end < 64 {
		return program, nil
	}
	out := bytes.Clone(program[:end])
	binary.LittleEndian.PutUint64(out[sectionsAt:], 0)
	binary.LittleEndian.PutUint16(out[sectionCountAt:], 0)
	binary.LittleEndian.PutUint16(out[sectionNamesAt:], 0)
	return out, nil
}
