package cgroup

import "context"

// RemoveAll removes a group with all that is in it, in every tree there is, as
// the freezer may have been another one when it was made. root, which is above
// it, goes with the last one.
func RemoveAll(ctx context.Context, root, path string) error {
	trees, err := Hierarchies()
	if err != nil {
		return err
	}
	for _, h := range trees {
		g := h.Group(path)
		if err := g.Kill(ctx); err != nil {
			return err
		}
		if err := g.Remove(ctx); err != nil {
			return err
		}
		h.Prune(root)
	}
	return removeBounds(root, path)
}
