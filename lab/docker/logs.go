package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
)

// Logs writes etcd's log. It outlives the member's agent, on the volume: without
// one it comes from there, and cannot be followed.
func (m *member) Logs(ctx context.Context, w io.Writer, follow bool) error {
	if m.answers(ctx) {
		return m.Client.Logs(ctx, w, follow)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r, _, err := m.p.api.CopyFromContainer(ctx, containerName(m.lab, m.name), path.Join(m.paths.state, "etcd.log"))
	if err != nil {
		return errors.New(m.whyLost(ctx))
	}
	defer r.Close()
	t := tar.NewReader(r)
	if _, err := t.Next(); err != nil {
		return fmt.Errorf("read the log of %s: %w", m.name, err)
	}
	if _, err := io.Copy(w, t); err != nil {
		return fmt.Errorf("read the log of %s: %w", m.name, err)
	}
	return nil
}
