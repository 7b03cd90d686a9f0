package docker

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/docker/docker/api/types/network"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// makeNetwork chooses the lab's subnet and makes its network there; kept is the
// subnet of a lab that had one, which stays.
func (p *Provider) makeNetwork(ctx context.Context, s *spec.Lab, kept string) (netip.Prefix, error) {
	networks, err := p.api.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return netip.Prefix{}, p.explain(ctx, "list the engine's networks", err)
	}
	wanted := kept
	if wanted == "" {
		wanted = s.Network.Subnet
	}
	subnets, err := candidates(s.Name, wanted, takenBy(networks))
	if err != nil {
		return netip.Prefix{}, err
	}
	const most = 8 // others may be making networks at the same time
	for i, subnet := range subnets {
		a := addresses{subnet: subnet, n: len(s.Members), inside: s.Disk.Kind != "plain"}
		if err := a.check(); err != nil {
			return subnet, err
		}
		// With a plain disk the published ports are the control network's.
		err := p.createNetwork(ctx, s, networkName(s.Name), roleLab, subnet, network.CreateOptions{
			Driver: "bridge", IPAM: a.ipam(names(s)), Internal: !a.inside,
		})
		if err == nil {
			return subnet, nil
		}
		if !overlaps(err) {
			return subnet, err
		}
		if wanted != "" {
			return subnet, lab.Misuse("network.subnet %s is in use on the engine's machine; choose another, or leave it out: %w", wanted, err)
		}
		if i == most {
			break
		}
	}
	return netip.Prefix{}, lab.Misuse("the engine refuses every subnet that was tried of %v as overlapping; set network.subnet", pools)
}

// overlaps says that the engine refuses a subnet for another that it has or, in
// newer ones, for a route of its machine's.
func overlaps(err error) bool {
	text := err.Error()
	return strings.Contains(text, "overlaps with other one") || strings.Contains(text, "conflicts with network") || strings.Contains(text, "overlap")
}

// makeControl makes the network through which the controller reaches the agents
// of members with plain disks, wherever the engine puts it.
func (p *Provider) makeControl(ctx context.Context, s *spec.Lab, subnet netip.Prefix) error {
	return p.createNetwork(ctx, s, controlName(s.Name), roleControl, subnet, network.CreateOptions{Driver: "bridge"})
}

func (p *Provider) createNetwork(ctx context.Context, s *spec.Lab, name, role string, subnet netip.Prefix, o network.CreateOptions) error {
	l, err := labels(s, "", subnet.String(), p.Version, lab.Binaries{})
	if err != nil {
		return err
	}
	l[labelRole], o.Labels = role, l
	do, cancel := finish(ctx)
	defer cancel()
	_, err = p.api.NetworkCreate(do, name, o)
	switch {
	case err == nil:
		return ctx.Err()
	case strings.Contains(err.Error(), "already exists"):
		return lab.Misuse("make the network %s: one of that name is there that is not of lab %s; remove it (docker network rm %s), or use another name", name, s.Name, name)
	case strings.Contains(err.Error(), "predefined address pools"):
		return lab.Misuse("make the network %s: the engine has no free addresses; remove networks (docker network prune): %w", name, err)
	}
	return p.explain(ctx, fmt.Sprintf("make the network %s on %s", name, subnet), err)
}
