// Package kmod owns the list of a guest's kernel modules: images/guest writes it
// into the initramfs, the agent in the guest loads modules by it. Guests have no
// modprobe.
package kmod

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// ListFile is where the list is in the guest; the modules are beside it.
const ListFile = "/lib/modules/etcdlab.list"

// Modprobe is the program that the guest's kernel runs when it wants a module:
// the agent, by another name. Init tells the kernel of it.
const Modprobe = "/usr/bin/modprobe"

// Module is one that the guest can load.
type Module struct {
	Name  string
	File  string   // base name, beside the list
	Boot  bool     // loaded when the guest starts
	Needs []string // what is loaded before it, directly
}

// List is what the guest's kernel has of what was wanted.
type List struct {
	Release string
	Modules []Module // each after what it needs
	Builtin []string // wanted, and part of the kernel
	Lacks   []string // wanted, and not there
	Aliases []Alias
}

// Alias is another name by which the kernel asks for a module: fs-xfs.
type Alias struct{ Name, Module string }

// Name is a module's name as the kernel shows it, whatever it is called on disk.
func Name(s string) string {
	s = path.Base(s)
	for _, ext := range []string{".gz", ".xz", ".zst"} {
		s = strings.TrimSuffix(s, ext)
	}
	return strings.ReplaceAll(strings.TrimSuffix(s, ".ko"), "-", "_")
}

// Encode gives the list as text: one thing a line.
func (l *List) Encode() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, "release", l.Release)
	for _, m := range l.Modules {
		when := "demand"
		if m.Boot {
			when = "boot"
		}
		fmt.Fprintln(&b, strings.Join(append([]string{"module", m.Name, m.File, when}, m.Needs...), " "))
	}
	for _, name := range l.Builtin {
		fmt.Fprintln(&b, "builtin", name)
	}
	for _, name := range l.Lacks {
		fmt.Fprintln(&b, "lacks", name)
	}
	for _, a := range l.Aliases {
		fmt.Fprintln(&b, "alias", a.Name, a.Module)
	}
	return b.Bytes()
}

// Parse reads what Encode wrote. A module must come after those it needs, so
// that no list can send its reader round in circles.
func Parse(text []byte) (*List, error) {
	l := new(List)
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		f := strings.Fields(lines.Text())
		bad := func(why string) (*List, error) {
			return nil, fmt.Errorf("read the list of modules: line %d: %s", n, why)
		}
		if len(f) < 2 {
			return bad("too few words")
		}
		switch {
		case f[0] == "release" && len(f) == 2:
			l.Release = f[1]
		case f[0] == "module" && len(f) >= 4:
			m := Module{Name: f[1], File: f[2], Boot: f[3] == "boot", Needs: f[4:]}
			if f[3] != "boot" && f[3] != "demand" {
				return bad("a module is for boot or demand, not " + f[3])
			}
			if strings.Contains(m.File, "/") || m.File == ".." {
				return bad(m.File + " is no name of a file beside the list")
			}
			if l.find(m.Name) != nil {
				return bad(m.Name + " is there twice")
			}
			for _, need := range m.Needs {
				if l.find(need) == nil {
					return bad(m.Name + " needs " + need + ", which is not before it")
				}
			}
			l.Modules = append(l.Modules, m)
		case f[0] == "builtin" && len(f) == 2:
			l.Builtin = append(l.Builtin, f[1])
		case f[0] == "lacks" && len(f) == 2:
			l.Lacks = append(l.Lacks, f[1])
		case f[0] == "alias" && len(f) == 3:
			l.Aliases = append(l.Aliases, Alias{f[1], f[2]})
		default:
			return bad("unknown word " + f[0])
		}
	}
	if l.Release == "" {
		return nil, errors.New("read the list of modules: it does not say of which release")
	}
	return l, lines.Err()
}

func (l *List) find(name string) *Module {
	i := slices.IndexFunc(l.Modules, func(m Module) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return &l.Modules[i]
}

// Order gives the modules to load for one, itself last; none if it is part of
// the kernel. name may be an alias.
func (l *List) Order(name string) ([]Module, error) {
	for _, a := range l.Aliases {
		if a.Name == name {
			name = a.Module
			break
		}
	}
	name = Name(name)
	if slices.Contains(l.Builtin, name) {
		return nil, nil
	}
	var order []Module
	var add func(m *Module)
	add = func(m *Module) {
		if slices.ContainsFunc(order, func(o Module) bool { return o.Name == m.Name }) {
			return
		}
		for _, need := range m.Needs {
			add(l.find(need))
		}
		order = append(order, *m)
	}
	m := l.find(name)
	if m == nil {
		return nil, fmt.Errorf("load module %s: this kernel (%s) has none of that name in its image", name, l.Release)
	}
	add(m)
	return order, nil
}

// Boot gives the modules that are loaded when the guest starts, in order.
func (l *List) Boot() []Module {
	var boot []Module
	for _, m := range l.Modules {
		if m.Boot {
			boot = append(boot, m)
		}
	}
	return boot
}
