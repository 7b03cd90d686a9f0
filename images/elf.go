package images

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// loader finds the libraries of programs below a root directory, as the
// system's dynamic loader would.
type loader struct {
	root string // "" is this machine
	dirs []string
	libs map[string]string // by the name that programs ask for
	// interpreters are the loaders that programs name.
	interpreters []string
}

// multiarch is Debian's name of the directory of an architecture's libraries.
var multiarch = map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}

// machines are the ELF machines of architectures that labs run on.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

func newLoader(root, arch string) *loader {
	l := &loader{root: root, libs: map[string]string{}}
	l.configured("/etc/ld.so.conf", 0)
	if triplet := multiarch[arch]; triplet != "" {
		l.dirs = append(l.dirs, "/lib/"+triplet, "/usr/lib/"+triplet)
	}
	l.dirs = append(l.dirs, "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")
	return l
}

// configured reads an ld.so.conf; what it cannot read has nothing to say.
func (l *loader) configured(name string, depth int) {
	b, err := os.ReadFile(l.host(name))
	if err != nil || depth > 5 {
		return
	}
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == "include":
			pattern := f[1]
			if !path.IsAbs(pattern) {
				pattern = path.Join(path.Dir(name), pattern)
			}
			names, _ := filepath.Glob(l.root + pattern) // sorted
			for _, n := range names {
				l.configured(strings.TrimPrefix(n, l.root), depth+1)
			}
		case len(f) == 1 && path.IsAbs(f[0]):
			l.dirs = append(l.dirs, path.Clean(f[0]))
		}
	}
}

// host is where a name of the root is on this machine, symbolic links
// followed within the root; a name that does not exist stays as it is.
func (l *loader) host(name string) string { return l.root + l.real(name) }

// real follows all symbolic links of a name within the root. Packages of a
// system where /lib is a link to /usr/lib do not bring that link along.
func (l *loader) real(name string) string {
	at := l.follow(name)
	for try, n := at, 0; l.root != "" && n < 3; n++ {
		if _, err := os.Lstat(l.root + try); err == nil {
			return try
		}
		try = l.follow("/usr" + try)
	}
	return at
}

func (l *loader) follow(name string) string {
	rest, done := strings.Split(path.Clean(name), "/"), "/"
	for links := 0; len(rest) > 0 && links < 40; {
		at := path.Join(done, rest[0])
		to, err := os.Readlink(l.root + at)
		if rest = rest[1:]; err != nil {
			done = at
			continue
		}
		links++
		if path.IsAbs(to) {
			done = "/"
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return done
}

// missingError names the libraries that a program asks for and that are not
// there.
type missingError struct {
	program string
	names   []string
}

func (e *missingError) Error() string {
	return fmt.Sprintf("%s needs %s, which cannot be found", e.program, strings.Join(e.names, ", "))
}

// add finds all that a program or library needs, and what that needs.
func (l *loader) add(name string) error {
	f, err := elf.Open(l.host(name))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		b := make([]byte, p.Filesz)
		if _, err := p.ReadAt(b, 0); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		interpreter := strings.TrimRight(string(b), "\x00")
		if _, err := os.Stat(l.host(interpreter)); err != nil {
			return &missingError{name, []string{interpreter}}
		}
		if !slices.Contains(l.interpreters, interpreter) {
			l.interpreters = append(l.interpreters, interpreter)
		}
	}
	needed, err := f.DynString(elf.DT_NEEDED)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var all error
	missing := &missingError{program: name}
	for _, lib := range needed {
		if l.libs[lib] != "" {
			continue
		}
		at, ok := l.find(lib, f, name)
		if !ok {
			missing.names = append(missing.names, lib)
			continue
		}
		l.libs[lib] = at
		all = errors.Join(all, l.add(at))
	}
	if len(missing.names) > 0 {
		return errors.Join(missing, all)
	}
	return all
}

// find looks for a library of the program's own kind where the loader would.
func (l *loader) find(lib string, f *elf.File, program string) (string, bool) {
	if strings.Contains(lib, "/") {
		return lib, l.fits(lib, f)
	}
	var dirs []string
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		values, _ := f.DynString(tag)
		for _, v := range values {
			origin := path.Dir(l.real(program))
			dirs = append(dirs, strings.Split(strings.NewReplacer("$ORIGIN", origin, "${ORIGIN}", origin).Replace(v), ":")...)
		}
	}
	for _, dir := range append(dirs, l.dirs...) {
		if at := path.Join(dir, lib); path.IsAbs(at) && l.fits(at, f) {
			return at, true
		}
	}
	return "", false
}

// fits says whether a library is for the program's machine.
func (l *loader) fits(name string, program *elf.File) bool {
	lib, err := elf.Open(l.host(name))
	if err != nil {
		return false
	}
	defer lib.Close()
	return lib.Machine == program.Machine && lib.Class == program.Class
}

// files gives the libraries and the interpreters as they are to be found by
// that loader in an image that has nothing else: all libraries beside the C
// library, where the loader looks without being told.
func (l *loader) files() []File {
	to := "/lib"
	for lib, at := range l.libs {
		if strings.HasPrefix(lib, "libc.") {
			to = path.Dir(l.real(at))
		}
	}
	var files []File
	for lib, at := range l.libs {
		files = append(files, File{Name: path.Join(to, path.Base(lib)), From: l.host(at), Mode: 0o755})
	}
	for _, name := range l.interpreters {
		files = append(files, File{Name: name, From: l.host(name), Mode: 0o755})
	}
	return files
}

// isFile says whether the root has a regular file of that name.
func (l *loader) isFile(name string) bool {
	st, err := os.Stat(l.host(name))
	return err == nil && st.Mode()&fs.ModeType == 0
}
