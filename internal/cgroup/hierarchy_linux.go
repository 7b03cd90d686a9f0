package cgroup

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Hierarchy is a mounted tree of groups whose processes can be frozen.
type Hierarchy struct {
	Version Version
	Mount   string // where the tree is mounted
}

// Hierarchies lists what this machine has mounted, v2 first.
func Hierarchies() ([]Hierarchy, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find cgroup mounts: %w", err)
	}
	defer f.Close()
	var v1, v2 []Hierarchy
	s := bufio.NewScanner(f)
	for s.Scan() {
		// proc(5): fields up to a lone dash, then type, source, options.
		head, tail, ok := strings.Cut(s.Text(), " - ")
		left, right := strings.Fields(head), strings.Fields(tail)
		if !ok || len(left) < 6 || len(right) < 3 {
			continue
		}
		switch {
		case right[0] == "cgroup2":
			v2 = append(v2, Hierarchy{V2, left[4]})
		case right[0] == "cgroup" && strings.Contains(","+right[2]+",", ",freezer,"):
			v1 = append(v1, Hierarchy{V1, left[4]})
		}
	}
	return append(v2, v1...), s.Err()
}

// Choose gives the hierarchy to use: the wanted version, or with "" what
// ETCDLAB_FREEZER says, or the best there is.
func Choose(want Version) (Hierarchy, error) {
	if want == "" {
		want = Version(os.Getenv(EnvFreezer))
	}
	all, err := Hierarchies()
	if err != nil {
		return Hierarchy{}, err
	}
	for _, h := range all {
		if want == "" || h.Version == want {
			return h, nil
		}
	}
	if want != "" {
		return Hierarchy{}, fmt.Errorf("freezer %s (unset %s to choose another): %w", want, EnvFreezer, ErrNone)
	}
	return Hierarchy{}, ErrNone
}

// Create makes the group, a path such as etcdlab/demo/m1/etcd, and its parents.
// A group that exists is fine. A parent may be removed by another process, which
// found it empty, between two steps of making it: then it is made again.
func (h Hierarchy) Create(path string) (*Group, error) {
	const tries = 10
	for try := 1; ; try++ {
		err := h.create("/" + path)
		if err == nil {
			return h.Group(path), nil
		}
		if try == tries || !gone(err) {
			return nil, fmt.Errorf("create cgroup %s in %s: %w", path, h.Mount, err)
		}
	}
}

func (h Hierarchy) create(path string) error {
	if h.Version == V2 {
		_, err := cgroup2.NewManager(h.Mount, path, &cgroup2.Resources{})
		return err
	}
	freezer := func() ([]cgroup1.Subsystem, error) {
		return []cgroup1.Subsystem{cgroup1.NewFreezer(filepath.Dir(h.Mount))}, nil
	}
	_, err := cgroup1.New(cgroup1.StaticPath(path), &specs.LinuxResources{}, cgroup1.WithHierarchy(freezer))
	return err
}

// Prune removes the group of that path if nothing is in it.
func (h Hierarchy) Prune(path string) {
	// Not empty, or gone: both are fine.
	_ = os.Remove(filepath.Join(h.Mount, path))
}

// Group is the group of that path, which need not exist.
func (h Hierarchy) Group(path string) *Group {
	return &Group{version: h.Version, dir: filepath.Join(h.Mount, path)}
}

// Children lists the names of the groups right below path; none if it does not
// exist.
func (h Hierarchy) Children(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(h.Mount, path))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list cgroups below %s: %w", path, err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// walk calls do for every directory of the group, children before parents, as
// only empty groups can be removed.
func (g *Group) walk(do func(dir string) error) error {
	var dirs []string
	err := filepath.WalkDir(g.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil
			}
			return err
		}
		if d.IsDir() {
			dirs = append(dirs, p)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := do(dirs[i]); err != nil {
			return err
		}
	}
	return nil
}
