package images

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tinyELF is the least that a loader needs to see of a program or a library.
func tinyELF(machine elf.Machine, interpreter, runpath string, needed ...string) string {
	names := "\x00.shstrtab\x00.dynstr\x00.dynamic\x00"
	strs, dyn := "\x00", []elf.Dyn64{}
	add := func(tag elf.DynTag, s string) {
		dyn = append(dyn, elf.Dyn64{Tag: int64(tag), Val: uint64(len(strs))})
		strs += s + "\x00"
	}
	for _, n := range needed {
		add(elf.DT_NEEDED, n)
	}
	if runpath != "" {
		add(elf.DT_RUNPATH, runpath)
	}
	dyn = append(dyn, elf.Dyn64{})
	const header, prog, sect = 64, 56, 64
	progs := 0
	if interpreter != "" {
		progs, interpreter = 1, interpreter+"\x00"
	}
	at := uint64(header + progs*prog)
	var body bytes.Buffer
	place := func(data any) (off, size uint64) {
		off = at + uint64(body.Len())
		if s, ok := data.(string); ok {
			data = []byte(s)
		}
		_ = binary.Write(&body, binary.LittleEndian, data)
		return off, at + uint64(body.Len()) - off
	}
	interpAt, interpSize := place(interpreter)
	namesAt, namesSize := place(names)
	strsAt, strsSize := place(strs)
	dynAt, dynSize := place(dyn)
	h := elf.Header64{Type: uint16(elf.ET_DYN), Machine: uint16(machine), Version: 1, Phoff: header, Shoff: at + uint64(body.Len()),
		Ehsize: header, Phentsize: prog, Phnum: uint16(progs), Shentsize: sect, Shnum: 4, Shstrndx: 1}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	var out bytes.Buffer
	_ = binary.Write(&out, binary.LittleEndian, h)
	if progs > 0 {
		_ = binary.Write(&out, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_INTERP), Off: interpAt, Filesz: interpSize})
	}
	out.Write(body.Bytes())
	_ = binary.Write(&out, binary.LittleEndian, []elf.Section64{{},
		{Name: 1, Type: uint32(elf.SHT_STRTAB), Off: namesAt, Size: namesSize},
		{Name: 11, Type: uint32(elf.SHT_STRTAB), Off: strsAt, Size: strsSize},
		{Name: 19, Type: uint32(elf.SHT_DYNAMIC), Off: dynAt, Size: dynSize, Link: 2, Entsize: 16}})
	return out.String()
}

func TestLibrariesOfPrograms(t *testing.T) {
	const here, other = elf.EM_X86_64, elf.EM_AARCH64
	program := func(runpath string, needed ...string) string {
		return tinyELF(here, "/lib64/ld.so", runpath, needed...)
	}
	lib := func(needed ...string) string { return tinyELF(here, "", "", needed...) }
	for name, c := range map[string]struct {
		files map[string]string
		want  map[string]string // the libraries found
		lacks string
	}{
		"static":            {map[string]string{"bin/x": tinyELF(here, "", "")}, nil, ""},
		"no interpreter":    {map[string]string{"bin/x": tinyELF(here, "/lib64/none.so", "")}, nil, "/lib64/none.so"},
		"in a usual place":  {map[string]string{"bin/x": program("", "a.so"), "usr/lib/a.so": lib()}, map[string]string{"a.so": "/lib/a.so"}, ""},
		"for another host":  {map[string]string{"bin/x": program("", "a.so"), "lib64/a.so": tinyELF(other, "", ""), "usr/lib/a.so": lib()}, map[string]string{"a.so": "/lib/a.so"}, ""},
		"not there":         {map[string]string{"bin/x": program("", "a.so", "b.so"), "lib/b.so": lib()}, map[string]string{"b.so": "/lib/b.so"}, "a.so"},
		"of a library":      {map[string]string{"bin/x": program("", "a.so"), "lib/a.so": lib("b.so"), "lib/b.so": lib("a.so")}, map[string]string{"a.so": "/lib/a.so", "b.so": "/lib/b.so"}, ""},
		"none of a library": {map[string]string{"bin/x": program("", "a.so"), "lib/a.so": lib("b.so")}, map[string]string{"a.so": "/lib/a.so"}, "/lib/a.so needs b.so"},
		"beside the program": {map[string]string{"bin/x": program("/no:$ORIGIN/../own", "a.so"), "own/a.so": lib(), "lib/a.so": lib()},
			map[string]string{"a.so": "/own/a.so"}, ""},
		"no ELF": {map[string]string{"bin/x": "#!/bin/sh"}, nil, "/bin/x"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, c.files)
			write(t, root, map[string]string{"lib64/ld.so": lib()})
			l := newLoader(root, "amd64")
			err := l.add("/bin/x")
			if (err == nil) != (c.lacks == "") || err != nil && !strings.Contains(err.Error(), c.lacks) {
				t.Errorf("got %v, want %q", err, c.lacks)
			}
			var missing *missingError
			if err != nil && name != "no ELF" && !errors.As(err, &missing) {
				t.Errorf("%v is no missing library", err)
			}
			if d := cmp.Diff(c.want, l.libs); d != "" && len(l.libs)+len(c.want) > 0 {
				t.Error(d)
			}
		})
	}
}

// Wherever libraries were found, they go to where the loader of the C library
// looks.
func TestLibrariesGoBesideTheCLibrary(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{
		"bin/x":             tinyELF(elf.EM_X86_64, "/lib64/ld.so", "/own", "a.so", "libc.so.6"),
		"own/a.so":          tinyELF(elf.EM_X86_64, "", ""),
		"usr/lib/libc.so.6": tinyELF(elf.EM_X86_64, "", ""),
		"usr/lib64/ld.so":   "loader",
	})
	l := newLoader(root, "amd64")
	must(t, l.add("/bin/x"))
	got := map[string]string{}
	for _, f := range l.files() {
		got[f.Name], _ = filepath.Rel(root, f.From)
	}
	want := map[string]string{"/usr/lib/a.so": "own/a.so", "/usr/lib/libc.so.6": "usr/lib/libc.so.6", "/lib64/ld.so": "usr/lib64/ld.so"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%v: %s", slices.Sorted(maps.Keys(got)), d)
	}
}
