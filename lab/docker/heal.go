package docker

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/docker/docker/api/types/container"

	"github.com/etcdlab/etcdlab/internal/each"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// converge makes an existing lab of the same spec what it should be: its
// network and containers there and running, every disk powered, honest as the
// spec says and without faults, every link up, every etcd running. What cannot be
// made again is a volume: it is all that a member remembers.
func (p *Provider) converge(ctx context.Context, f *found, s *spec.Lab, images map[string]lab.Binaries) (*lab.Lab, error) {
	for _, name := range names(f.spec) {
		if f.volumes[name] == nil {
			return nil, lab.Misuse("the volume of member %s is gone, and with it what it had acknowledged; take the lab down: etcdlab down %s", name, f.name)
		}
	}
	if d := lab.Difference(f.spec, f.made(), s, images); d != "" {
		return nil, &lab.SpecChangedError{Lab: s.Name, Diff: d}
	}
	dir, err := labDir(f.name)
	if err != nil {
		return nil, err
	}
	if err := hasKeys(f.name, f.owner, dir); err != nil {
		return nil, err
	}
	if err := p.complete(ctx, f, images); err != nil {
		return nil, err
	}
	if f, err = p.discover(ctx, s.Name); err != nil {
		return nil, err
	}
	all := p.members(f, dir)
	err = lab.Mend(ctx, s.Name, names(f.spec), func(i int) error {
		defer all[i].Close()
		return p.revive(ctx, all[i])
	})
	if err != nil {
		return nil, err
	}
	return p.start(ctx, s.Name)
}

// hasKeys says what to do without the local directory, which alone has what the
// agents obey. It is not made anew: the lab may be another user's.
func hasKeys(name, owner, dir string) error {
	files := clientFiles(filepath.Join(dir, agentTLS), "controller")
	if exists(files.Key) && exists(files.Cert) && exists(files.CA) {
		return nil
	}
	return lab.Misuse("lab %s was made by %s, and obeys a key that is not in %s; use it as that user and with the same XDG_STATE_HOME, or use another name, or take it down (etcdlab down %s)", name, owner, dir, name)
}

// complete makes again what somebody removed, but for volumes.
func (p *Provider) complete(ctx context.Context, f *found, images map[string]lab.Binaries) error {
	subnet, err := netip.ParsePrefix(f.subnet)
	if err != nil {
		return fmt.Errorf("read the labels of lab %s: %w (etcdlab down %s removes it)", f.name, err, f.name)
	}
	plain := f.spec.Disk.Kind == "plain"
	if f.network(roleLab) == nil || plain && f.network(roleControl) == nil {
		// Containers remember the network that they were made with by its ID.
		p.say("a network of lab %s is gone; making it and the containers again", f.name)
		if err := p.removeContainers(ctx, f); err != nil {
			return err
		}
		if f.network(roleLab) == nil {
			if _, err := p.makeNetwork(ctx, f.spec, f.subnet); err != nil {
				return err
			}
		}
		if plain && f.network(roleControl) == nil {
			if err := p.makeControl(ctx, f.spec, subnet); err != nil {
				return err
			}
		}
	}
	var missing []*member
	for _, m := range p.plan(f.spec, subnet, images) {
		if _, ok := f.containers[m.name]; !ok {
			missing = append(missing, m)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	with, err := p.prepare(ctx, f.spec, images)
	if err != nil {
		return err
	}
	return each.Do(len(missing), func(i int) error {
		p.say("the container of %s is gone; making it again on its old disk", missing[i].name)
		return p.makeContainer(ctx, missing[i], with)
	})
}

// removeContainers takes them off, keeping their volumes.
func (p *Provider) removeContainers(ctx context.Context, f *found) error {
	for name, c := range f.containers {
		if c.State == container.StateRunning {
			seconds := stopSeconds
			if err := p.api.ContainerStop(ctx, c.ID, container.StopOptions{Timeout: &seconds}); err != nil && !isGone(err) {
				return p.explain(ctx, "stop the container of "+name, err)
			}
		}
		if err := p.api.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true}); err != nil && !isGone(err) {
			return p.explain(ctx, "remove the container of "+name, err)
		}
		delete(f.containers, name)
	}
	return nil
}

// revive heals what of a member is there; what is not running is started later.
func (p *Provider) revive(ctx context.Context, m *member) error {
	if m.state == container.StatePaused {
		p.say("the container of %s is paused; letting it go on", m.name)
		if err := p.api.ContainerUnpause(ctx, m.id); err != nil {
			return p.explain(ctx, "let the container of "+m.name+" go on", err)
		}
		m.state = container.StateRunning
	}
	plugged, err := p.plugged(ctx, m)
	if err != nil {
		return err
	}
	if !plugged {
		p.say("the container of %s is off the network; putting it back", m.name)
		if m.addr.inside && m.state == container.StateRunning {
			// A link that comes later is not what its agent made etcd's of.
			p.end(ctx, m, m.image)
			m.state = container.StateExited
		}
		if err := p.plug(ctx, m, true); err != nil {
			return err
		}
	}
	if m.state != container.StateRunning {
		p.say("the container of %s is %s; starting it again", m.name, m.state)
		return nil
	}
	why := "its agent does not answer"
	if m.answers(ctx) {
		var sick bool
		sick, err = agent.Heal(ctx, m, m.spec.Disk, m.failpointURL())
		switch {
		case err != nil:
			why = oneLine(err.Error())
		case sick:
			why = "its file system has met failures of its disk"
		default:
			return nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.say("starting the container of %s again: %s", m.name, why)
	p.end(ctx, m, m.image)
	return ctx.Err()
}
