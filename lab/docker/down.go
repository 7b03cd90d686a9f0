package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"github.com/etcdlab/etcdlab/internal/each"
	"github.com/etcdlab/etcdlab/lab"
)

// Bounds of taking a lab down.
const (
	downTimeout     = 90 * time.Second
	shutdownTimeout = 10 * time.Second // an agent's own
	removePoll      = 50 * time.Millisecond
)

// Down removes every trace of the lab but its images. It needs neither the
// local directory nor anything that still runs.
func (p *Provider) Down(ctx context.Context, name string) error {
	if err := lab.CheckName("lab", name); err != nil {
		return err
	}
	f, err := p.discover(ctx, name)
	if err != nil {
		// Who has nothing of it here need not have an engine either.
		if _, none := errors.AsType[*lab.EnvironmentError](err); !none {
			return err
		}
		if !traces(name) {
			return nil
		}
		dir, _ := labDir(name)
		return fmt.Errorf("%w; if the lab's engine is gone for good, remove %s", err, dir)
	}
	if !f.any() && !traces(name) {
		return nil
	}
	unlock, err := p.Exclusive(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	if err := p.remove(ctx, name); err != nil {
		return fmt.Errorf("take lab %s down: %w (run it again; what is left is still found by its labels)", name, err)
	}
	return nil
}

func exists(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

// remove does it, under the lab's lock.
func (p *Provider) remove(ctx context.Context, name string) error {
	if err := p.sweep(ctx, name); err != nil {
		return err
	}
	dir, err := labDir(name)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	return nil
}

// sweep removes what the engine has of the lab, and again until nothing is left:
// a request of an etcdlab that was killed may still have been under way.
func (p *Provider) sweep(ctx context.Context, name string) error {
	for {
		f, err := p.discover(ctx, name)
		if err != nil {
			return err
		}
		if !f.any() {
			return nil
		}
		failed := p.sweepOnce(ctx, f)
		if failed == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return failed
		case <-time.After(removePoll):
		}
	}
}

func (p *Provider) sweepOnce(ctx context.Context, f *found) error {
	var containers []container.Summary
	for _, c := range f.containers {
		containers = append(containers, c)
	}
	err := each.Do(len(containers), func(i int) error { return p.removeContainer(ctx, f, containers[i]) })
	if err != nil {
		return err
	}
	for _, n := range f.networks {
		err = errors.Join(err, p.removeNetwork(ctx, n.ID, n.Name))
	}
	for _, v := range f.volumes {
		if failed := p.api.VolumeRemove(ctx, v.Name, true); failed != nil && !isGone(failed) {
			err = errors.Join(err, p.explain(ctx, "remove the volume "+v.Name, failed))
		}
	}
	return err
}

// removeContainer ends a member. Its agent takes its disk off first: what a
// killed one leaves is the kernel's, and out of anybody's reach here.
func (p *Provider) removeContainer(ctx context.Context, f *found, c container.Summary) error {
	name := c.Labels[labelMember]
	if name != "" {
		p.say("taking %s/%s down", f.name, name)
	}
	if c.State == container.StatePaused {
		if err := p.api.ContainerUnpause(ctx, c.ID); err != nil && !isGone(err) {
			return p.explain(ctx, "let the container of "+name+" go on", err)
		}
		c.State = container.StateRunning
	}
	if c.State == container.StateRunning && f.spec != nil && known(f.spec, name) {
		p.shutdown(ctx, f, name, c)
	}
	err := p.api.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !isGone(err) {
		return p.explain(ctx, "remove the container of "+name, err)
	}
	return nil
}

// shutdown lets the agent end by itself, as well as it can: asked, or where it
// cannot be, by a signal.
func (p *Provider) shutdown(ctx context.Context, f *found, name string, c container.Summary) {
	dir, err := labDir(f.name)
	if err != nil {
		return
	}
	all := p.members(f, dir)
	m := all[slices.IndexFunc(all, func(m *member) bool { return m.name == name })]
	for _, m := range all {
		defer m.Close()
	}
	ask, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	if m.answers(ask) && m.Shutdown(ask, true) == nil {
		return
	}
	p.end(ctx, m, c.ImageID)
}

// removeNetwork takes off who else is on it: the lab's own are gone.
func (p *Provider) removeNetwork(ctx context.Context, id, name string) error {
	n, err := p.api.NetworkInspect(ctx, id, network.InspectOptions{})
	if isGone(err) {
		return nil
	}
	if err != nil {
		return p.explain(ctx, "inspect the network "+name, err)
	}
	for guest := range n.Containers {
		if err := p.api.NetworkDisconnect(ctx, id, guest, true); err != nil && !isGone(err) {
			return p.explain(ctx, "take a container off the network "+name, err)
		}
	}
	if err := p.api.NetworkRemove(ctx, id); err != nil && !isGone(err) {
		return p.explain(ctx, "remove the network "+name, err)
	}
	return nil
}
