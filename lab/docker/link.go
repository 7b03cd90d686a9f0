package docker

import (
	"context"
	"fmt"
	"strings"
)

// plug connects a member's container to the lab's network, with the address it
// always has, or takes it off. The engine moves or removes the link as a whole:
// not a packet gets out, and both directions end.
func (p *Provider) plug(ctx context.Context, m *member, in bool) error {
	ctx, cancel := finish(ctx)
	defer cancel()
	name := containerName(m.lab, m.name)
	plugged, err := p.plugged(ctx, m)
	if err != nil {
		return fmt.Errorf("set the link of %s (up %v): %w", m.name, in, err)
	}
	if plugged == in {
		return nil
	}
	if in {
		err = p.api.NetworkConnect(ctx, networkName(m.lab), name, endpoint(m))
	} else {
		err = p.api.NetworkDisconnect(ctx, networkName(m.lab), name, true)
	}
	if err != nil && !strings.Contains(err.Error(), "is not connected") && !strings.Contains(err.Error(), "already exists in network") {
		return p.explain(ctx, fmt.Sprintf("set the link of %s (up %v)", m.name, in), err)
	}
	return nil
}

// plugged says whether the container is on the lab's network.
func (p *Provider) plugged(ctx context.Context, m *member) (bool, error) {
	c, err := p.api.ContainerInspect(ctx, containerName(m.lab, m.name))
	if err != nil {
		return false, p.explain(ctx, "inspect the container of "+m.name, err)
	}
	_, ok := c.NetworkSettings.Networks[networkName(m.lab)]
	return ok, nil
}
