package docker

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"

	"github.com/etcdlab/etcdlab/internal/each"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// found is what of a lab the engine has, by labels.
type found struct {
	name       string
	spec       *spec.Lab // nil if nothing that is left has one
	subnet     string
	owner      string // who made it
	networks   []network.Summary
	containers map[string]container.Summary // by member
	volumes    map[string]*volume.Volume    // by member
}

func (f *found) any() bool {
	return len(f.networks) > 0 || len(f.containers) > 0 || len(f.volumes) > 0
}

// network of a role, nil if it is not there.
func (f *found) network(role string) *network.Summary {
	i := slices.IndexFunc(f.networks, func(n network.Summary) bool { return n.Labels[labelRole] == role })
	if i < 0 {
		return nil
	}
	return &f.networks[i]
}

// born says that the lab has been there once: some container was started, so
// all were complete, and members may have data.
func (f *found) born() bool {
	for _, c := range f.containers {
		if c.State != container.StateCreated {
			return true
		}
	}
	return marked(f.name)
}

// partial says why the lab is not whole, "" if it is.
func (f *found) partial() string {
	var why []string
	if f.network(roleLab) == nil {
		why = append(why, "its network is gone")
	}
	for _, name := range names(f.spec) {
		c, ok := f.containers[name]
		switch {
		case f.volumes[name] == nil:
			why = append(why, "the volume of "+name+" is gone, and its data with it")
		case !ok:
			why = append(why, "the container of "+name+" is gone")
		case c.State != container.StateRunning:
			why = append(why, "the container of "+name+" is "+c.State)
		}
	}
	if len(why) == 0 {
		return ""
	}
	return strings.Join(why, "; ") + " (etcdlab up " + f.name + " brings back what can be)"
}

// made are the binaries of each member, as labelled.
func (f *found) made() map[string]lab.Binaries {
	all := map[string]lab.Binaries{}
	for m, v := range f.volumes {
		all[m] = parseBinaries(v.Labels)
	}
	for m, c := range f.containers {
		all[m] = parseBinaries(c.Labels)
	}
	return all
}

// discover finds what there is of a lab.
func (p *Provider) discover(ctx context.Context, name string) (*found, error) {
	all, err := p.find(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		if f.name == name {
			return f, nil
		}
	}
	return &found{name: name}, nil
}

// discoverAll finds every lab.
func (p *Provider) discoverAll(ctx context.Context) ([]*found, error) { return p.find(ctx, "") }

func (p *Provider) find(ctx context.Context, name string) ([]*found, error) {
	var containers []container.Summary
	var networks []network.Summary
	var volumes volume.ListResponse
	lists := []func() (err error){
		func() (err error) {
			containers, err = p.api.ContainerList(ctx, container.ListOptions{All: true, Filters: of(name)})
			return err
		},
		func() (err error) {
			networks, err = p.api.NetworkList(ctx, network.ListOptions{Filters: of(name)})
			return err
		},
		func() (err error) {
			volumes, err = p.api.VolumeList(ctx, volume.ListOptions{Filters: of(name)})
			return err
		},
	}
	if err := each.Do(len(lists), func(i int) error { return lists[i]() }); err != nil {
		return nil, p.explain(ctx, "look for labs", err)
	}
	return group(containers, networks, volumes.Volumes), nil
}

// group sorts what was found into labs, by name. What carries no proper name is
// nobody's lab.
func group(containers []container.Summary, networks []network.Summary, volumes []*volume.Volume) []*found {
	labs := map[string]*found{}
	at := func(l map[string]string) *found {
		name := l[labelLab]
		if lab.CheckName("lab", name) != nil {
			return nil
		}
		f := labs[name]
		if f == nil {
			f = &found{name: name, containers: map[string]container.Summary{}, volumes: map[string]*volume.Volume{}}
			labs[name] = f
		}
		if f.spec == nil {
			f.spec = parseSpec(l)
		}
		f.owner = cmp.Or(f.owner, l[labelOwner])
		if _, err := netip.ParsePrefix(l[labelSubnet]); err == nil && f.subnet == "" {
			f.subnet = l[labelSubnet]
		}
		return f
	}
	for _, n := range networks {
		if f := at(n.Labels); f != nil {
			f.networks = append(f.networks, n)
		}
	}
	for _, c := range containers {
		if f := at(c.Labels); f != nil {
			// A key is only a key here: what has no member's label is removed no less.
			f.containers[cmp.Or(c.Labels[labelMember], c.ID)] = c
		}
	}
	for _, v := range volumes {
		if f := at(v.Labels); f != nil {
			f.volumes[cmp.Or(v.Labels[labelMember], v.Name)] = v
		}
	}
	var all []*found
	for _, f := range labs {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *found) int { return cmp.Compare(a.name, b.name) })
	return all
}

// hostPorts are a running container's ports on the loopback, by their number
// inside.
func hostPorts(c container.Summary) map[int]int {
	ports := map[int]int{}
	for _, p := range c.Ports {
		if p.Type == "tcp" && p.PublicPort != 0 {
			ports[int(p.PrivatePort)] = int(p.PublicPort)
		}
	}
	return ports
}

// address is where a port of the container is reached; with none, one that
// refuses.
func address(ports map[int]int, inside int) string {
	return fmt.Sprintf("127.0.0.1:%d", ports[inside])
}
