package process

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/etcdlab/etcdlab/internal/cgroup"
	"github.com/etcdlab/etcdlab/internal/netns"
	"github.com/etcdlab/etcdlab/lab"
)

// leftovers is what of a lab is found on this machine.
type leftovers struct {
	members []string // by any trace
	dirs    []string // that exist
	network bool
	cgroups bool
}

func (l leftovers) any() bool {
	return len(l.members) > 0 || len(l.dirs) > 0 || l.network || l.cgroups
}

// discover finds what there is of a lab, without the manifest's help where that
// is missing.
func discover(name string) (leftovers, error) {
	var l leftovers
	stateDirs, err := stateDirs(name)
	if err != nil {
		return l, err
	}
	for _, dir := range append([]string{lab.RunDir(name)}, stateDirs...) {
		entries, err := os.ReadDir(dir)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return l, fmt.Errorf("look for lab %s: %w", name, err)
		}
		for _, e := range entries {
			if e.IsDir() && lab.CheckName("member", e.Name()) == nil {
				l.members = append(l.members, e.Name())
			}
		}
		l.dirs = append(l.dirs, dir)
	}
	spaces, err := netns.List()
	if err != nil {
		return l, err
	}
	for _, ns := range spaces {
		if of, member, ok := lab.ParseNetNS(ns); ok && of == name {
			l.network = true
			if member != "" {
				l.members = append(l.members, member)
			}
		}
	}
	trees, err := cgroup.Hierarchies()
	if err != nil {
		return l, err
	}
	for _, h := range trees {
		labs, err := h.Children(lab.CgroupRoot)
		if err != nil {
			return l, err
		}
		members, err := h.Children(lab.Cgroup(name))
		if err != nil {
			return l, err
		}
		l.cgroups = l.cgroups || slices.Contains(labs, name)
		l.members = append(l.members, members...)
	}
	slices.Sort(l.members)
	l.members = slices.Compact(l.members)
	return l, nil
}

// stateDirs are where the lab's large files may be: where the manifest says and
// where they would be put now.
func stateDirs(name string) ([]string, error) {
	root, err := lab.StateRoot()
	if err != nil {
		return nil, err
	}
	dirs := []string{filepath.Join(root, name)}
	if m, err := lab.ReadManifest(lab.RunDir(name)); err == nil && m.StateDir != dirs[0] && filepath.Base(m.StateDir) == name {
		dirs = append(dirs, m.StateDir)
	}
	return dirs, nil
}

// labNames lists the names that anything on this machine carries.
func labNames() ([]string, error) {
	var names []string
	states, err := lab.StateRoot()
	if err != nil {
		return nil, err
	}
	// Large files are all that is left of a lab after a reboot.
	for _, dir := range []string{lab.RunRoot, states} {
		entries, err := os.ReadDir(dir)
		if err != nil && !os.IsNotExist(err) {
			return nil, fmt.Errorf("list labs: %w", err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	spaces, err := netns.List()
	if err != nil {
		return nil, err
	}
	for _, ns := range spaces {
		if l, _, ok := lab.ParseNetNS(ns); ok {
			names = append(names, l)
		}
	}
	trees, err := cgroup.Hierarchies()
	if err != nil {
		return nil, err
	}
	for _, h := range trees {
		children, err := h.Children(lab.CgroupRoot)
		if err != nil {
			return nil, err
		}
		names = append(names, children...)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return lab.CheckName("lab", n) != nil })
	slices.Sort(names)
	return slices.Compact(names), nil
}
