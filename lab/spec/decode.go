package spec

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Load reads and decodes a lab file; "-" is standard input. A relative source
// in it is relative to the file's directory, so that the lab means the same
// wherever the command runs.
func Load(path string) (*Lab, error) {
	file, dir, data, err := read("lab", path)
	if err != nil {
		return nil, err
	}
	lab, err := Decode(file, data)
	if err != nil {
		return nil, err
	}
	if err := lab.rebase(dir); err != nil {
		return nil, fmt.Errorf("resolve the sources of %s: %w", file, err)
	}
	return lab, nil
}

// read gives a file's text, what messages call it, and what its relative paths
// are relative to.
func read(what, path string) (file, dir string, data []byte, err error) {
	file, dir = path, filepath.Dir(path)
	in := os.Stdin
	if path == "-" {
		file, dir = "stdin", "."
	} else {
		f, err := os.Open(path)
		if err != nil {
			return "", "", nil, fmt.Errorf("read the %s file: %w", what, err)
		}
		defer f.Close()
		in = f
	}
	data, err = io.ReadAll(io.LimitReader(in, maxBytes+1))
	if err != nil {
		return "", "", nil, fmt.Errorf("read the %s file %s: %w", what, file, err)
	}
	return file, dir, data, nil
}

// paths are what may be relative to the lab file. A patch without a dot or a
// slash in its name is one that is built in.
func (e *Etcd) paths() []*string {
	paths := []*string{&e.Source}
	for i, p := range e.Patches {
		if strings.ContainsAny(p, `./\`) {
			paths = append(paths, &e.Patches[i])
		}
	}
	return paths
}

// rebase makes relative sources and patches absolute.
func (l *Lab) rebase(dir string) error {
	paths := l.Etcd.paths()
	for i := range l.Members {
		paths = append(paths, l.Members[i].Etcd.paths()...)
	}
	for _, s := range paths {
		if *s == "" || filepath.IsAbs(*s) {
			continue
		}
		abs, err := filepath.Abs(filepath.Join(dir, *s))
		if err != nil {
			return err
		}
		*s = abs
	}
	return nil
}

// Decode reads a lab from YAML and checks it as it would be once defaults are
// in; the lab it returns has only what the file says. Every problem found is an
// *Error with its place in file, all of them joined in the file's order.
func Decode(file string, data []byte) (*Lab, error) {
	d, root, err := newDecoder(file, data)
	if err != nil {
		return nil, err
	}
	lab := &Lab{}
	d.mapping(root, "", d.labFields(lab))
	if len(d.problems) == 0 {
		d.validate(lab, "")
	}
	if err := d.sorted(); err != nil {
		return nil, err
	}
	return lab, nil
}

func newDecoder(file string, data []byte) (*decoder, ast.Node, error) {
	src := newSource(file, data)
	root, err := parse(src, data)
	if err != nil {
		return nil, nil, err
	}
	return &decoder{src: src, anchors: anchorsOf(root), places: map[string]position{}}, root, nil
}

// sorted is all that was found, in the file's order.
func (d *decoder) sorted() error {
	slices.SortStableFunc(d.problems, func(a, b *Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return joined(d.problems)
}

// maxShown is how many problems are told at once: more is a file of another
// kind.
const maxShown = 20

func joined(problems []*Error) error {
	var errs []error
	for i, p := range problems {
		if i == maxShown {
			errs = append(errs, fmt.Errorf("and %d more problems", len(problems)-i))
			break
		}
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// decoder walks the document by hand: the schema is small, every problem is
// reported instead of the first, and its fixed depth bounds what aliases that
// refer to aliases can cost.
type decoder struct {
	src      *source
	over     bool // what is read goes over what is there: maps are added to
	anchors  map[string]ast.Node
	places   map[string]position // of each value that was read, by path
	problems []*Error
}

func (d *decoder) fail(n ast.Node, path, format string, args ...any) {
	d.problems = append(d.problems, d.src.at(start(n), path, fmt.Sprintf(format, args...)))
}

// validate puts the places of the file to what Validate finds; the lab is at
// the path prefix.
func (d *decoder) validate(lab *Lab, prefix string) {
	full := lab.clone()
	full.Default()
	for _, p := range full.problems() {
		d.problems = append(d.problems, d.src.at(d.placeOf(prefix+p.Path), prefix+p.Path, p.Message))
	}
}

// placeOf is where the path's value is, or else what contains it.
func (d *decoder) placeOf(path string) position {
	for ; path != ""; path = parent(path) {
		if p, ok := d.places[path]; ok {
			return p
		}
	}
	return d.places[""]
}

func (d *decoder) labFields(l *Lab) fields {
	return fields{
		"apiVersion": d.string(&l.APIVersion),
		"kind":       d.string(&l.Kind),
		"name":       d.string(&l.Name),
		"provider":   d.string(&l.Provider),
		"etcd":       d.etcd(&l.Etcd),
		"members":    d.members(&l.Members),
		"disk": func(n ast.Node, path string) {
			d.mapping(n, path, fields{
				"kind":    d.string(&l.Disk.Kind),
				"fs":      d.string(&l.Disk.FS),
				"size":    d.size(&l.Disk.Size),
				"profile": d.string(&l.Disk.Profile),
				"keepLog": d.bool(&l.Disk.KeepLog),
			})
		},
		"network": func(n ast.Node, path string) {
			d.mapping(n, path, fields{"subnet": d.string(&l.Network.Subnet)})
		},
		"machine": func(n ast.Node, path string) {
			d.mapping(n, path, fields{
				"memory": d.size(&l.Machine.Memory),
				"cpus":   d.int(&l.Machine.CPUs),
				"kernel": d.string(&l.Machine.Kernel),
				"accel":  d.string(&l.Machine.Accel),
			})
		},
		"tls": d.bool(&l.TLS),
	}
}

func (d *decoder) etcd(e *Etcd) field {
	return func(n ast.Node, path string) {
		d.mapping(n, path, fields{
			"version":         d.string(&e.Version),
			"source":          d.string(&e.Source),
			"failpoints":      func(n ast.Node, path string) { e.Failpoints = new(bool); d.bool(e.Failpoints)(n, path) },
			"bboltFailpoints": d.bool(&e.BboltFailpoints),
			"patches":         d.list(&e.Patches),
			"args":            d.words(&e.Args),
			"env":             d.words(&e.Env),
		})
	}
}

func (d *decoder) members(m *Members) field {
	return func(n ast.Node, path string) {
		switch n := n.(type) {
		case *ast.IntegerNode:
			count, err := strconv.ParseInt(n.GetToken().Value, 0, 64)
			if err != nil || count < 1 || count > MaxMembers {
				d.fail(n, path, "%s members: a lab has 1 to %d", n.GetToken().Value, MaxMembers)
				return
			}
			*m = Count(int(count))
		case *ast.SequenceNode:
			if len(n.Values) == 0 || len(n.Values) > MaxMembers {
				d.fail(n, path, "%d members: a lab has 1 to %d", len(n.Values), MaxMembers)
				return
			}
			*m = make(Members, len(n.Values))
			for i, v := range n.Values {
				at := fmt.Sprintf("%s[%d]", path, i)
				d.value(v, at, func(n ast.Node, path string) {
					d.mapping(n, path, fields{
						"name": d.string(&(*m)[i].Name),
						"etcd": d.etcd(&(*m)[i].Etcd),
					})
				})
			}
		default:
			d.fail(n, path, "members must be a count, such as 3, or a list, not %s", describe(n))
		}
	}
}

// Names of the fields, sorted, for suggestions.
func (f fields) names() []string { return slices.Sorted(maps.Keys(f)) }
