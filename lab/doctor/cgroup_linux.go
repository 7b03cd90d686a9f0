package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/internal/cgroup"
)

// freezer makes a group in every hierarchy that can freeze, freezes and thaws
// it. One that works is enough.
func freezer(ctx context.Context) (string, error) {
	all, err := cgroup.Hierarchies()
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "none mounted", errLacking
	}
	var works, fails []string
	for _, h := range all {
		name := fmt.Sprintf("%s at %s", h.Version, h.Mount)
		if err := tryFreezer(ctx, h); err != nil {
			fails = append(fails, fmt.Sprintf("%s does not (%v)", name, err))
		} else {
			works = append(works, name)
		}
	}
	found := strings.Join(append(works, fails...), ", ")
	if len(works) == 0 {
		return found, errLacking
	}
	return found, nil
}

// groupPrefix names the groups made here, with the process that made them.
const groupPrefix = "etcdlab-doctor-"

// sweep removes what a killed doctor left. A living one is done with its own in
// well under a minute.
func sweep(h cgroup.Hierarchy) {
	old, _ := filepath.Glob(filepath.Join(h.Mount, groupPrefix+"*"))
	for _, dir := range old {
		if st, err := os.Stat(dir); err == nil && time.Since(st.ModTime()) > time.Minute {
			_ = os.Remove(dir)
		}
	}
}

func tryFreezer(ctx context.Context, h cgroup.Hierarchy) (err error) {
	sweep(h)
	path := fmt.Sprintf("%s%d", groupPrefix, os.Getpid())
	g, err := h.Create(path)
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err = errors.Join(err, h.Group(path).Remove(ctx))
	}()
	if path := new(fs.PathError); errors.As(err, &path) {
		return path // without the path a second time
	}
	if err != nil {
		return err
	}
	// An empty v2 group is frozen as soon as it is told to be.
	if _, err := g.Freeze(ctx, time.Second, 0); err != nil {
		return err
	}
	return g.Thaw(ctx)
}
