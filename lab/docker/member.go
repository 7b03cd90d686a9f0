package docker

import (
	"context"
	"fmt"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/etcd"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// infoTimeout is how long an agent may take to say how it is; it waits for
// nothing to do so.
const infoTimeout = 2 * time.Second

// member is a member of a lab of containers; its agent has the capabilities.
type member struct {
	*agent.Client
	p        *Provider
	lab      string
	name     string
	index    int
	spec     *spec.Lab
	addr     addresses
	paths    paths
	binaries lab.Binaries
	id       string // of the container as it was found, "" without one
	state    string // and how it was
	image    string // and what of
	owner    string // of the lab
	hosts    map[int]int
	// turn lets the lab's members start etcd one after the other: members that
	// start at once wait for one another. Where agents share a machine's files
	// they see to that themselves.
	turn chan struct{}
}

// paths in a member's container. They are no other's in the whole kernel: that
// is how an agent knows its own loop device.
type paths struct {
	volume string // the named volume
	dir    string // the agent's directory
	state  string // disk, logs
	tls    string
}

func pathsOf(labName, member string) paths {
	v := path.Join("/var/lib/etcdlab", labName, member)
	return paths{volume: v, dir: v + "/run", state: v + "/state", tls: v + "/tls"}
}

// plan is the members of a lab before they exist.
func (p *Provider) plan(s *spec.Lab, subnet netip.Prefix, images map[string]lab.Binaries) []*member {
	turn := make(chan struct{}, 1)
	var all []*member
	for i, sm := range s.Members {
		all = append(all, &member{
			p: p, lab: s.Name, name: sm.Name, index: i, spec: s, turn: turn,
			addr:  addresses{subnet: subnet, n: len(s.Members), inside: s.Disk.Kind != "plain"},
			paths: pathsOf(s.Name, sm.Name), binaries: images[sm.Name],
		})
	}
	return all
}

// find gives the planned member the container that was found.
func (m *member) find(f *found, dir string) {
	c, ok := f.containers[m.name]
	m.id, m.image, m.state, m.hosts = c.ID, c.ImageID, "gone", map[int]int{}
	m.owner = f.owner
	if ok {
		m.state, m.hosts = c.State, hostPorts(c)
	}
	if m.Client != nil {
		m.Client.Close()
	}
	lacks := agent.LacksOf(m.spec.Disk.Kind, m.spec.Disk.FS)
	if !m.addr.inside {
		lacks["NetShaper"] = "its disk is plain, and its container may not change its links; use disk: {kind: fault}"
	}
	m.Client = agent.NewClient(m.name, agent.At{
		Address: address(m.hosts, portAgent), TLS: clientFiles(filepath.Join(dir, agentTLS), "controller"),
	}, lacks)
}

// members of a lab that was found.
func (p *Provider) members(f *found, dir string) []*member {
	subnet, _ := netip.ParsePrefix(f.subnet)
	all := p.plan(f.spec, subnet, f.made())
	for _, m := range all {
		m.find(f, dir)
	}
	return all
}

// ports that the container publishes.
func (m *member) ports(s *spec.Lab) []int {
	ports := []int{portAgent, portClient}
	if failpoints(s.EtcdFor(m.name)) {
		ports = append(ports, portFailpoints)
	}
	return ports
}

func failpoints(e spec.Etcd) bool { return e.Failpoints == nil || *e.Failpoints }

// clientURL is where this machine reaches the member.
func (m *member) clientURL() string {
	scheme := "http"
	if m.spec.TLS {
		scheme = "https"
	}
	return scheme + "://" + address(m.hosts, portClient)
}

func (m *member) failpointURL() string {
	if !failpoints(m.spec.EtcdFor(m.name)) {
		return ""
	}
	return "http://" + address(m.hosts, portFailpoints)
}

// Info is what the engine and the agent know. An agent that does not answer is
// State lost, with the reason, not an error.
func (m *member) Info(ctx context.Context) (lab.Info, error) {
	e := m.etcd()
	info := lab.Info{
		Name: m.name, ClientURL: m.clientURL(), PeerURL: e.PeerURL(), FailpointURL: m.failpointURL(),
		DataDir: e.DataDir, LogFile: path.Join(m.paths.state, "etcd.log"), State: lab.StateLost,
		Version: m.binaries.Version, Args: append([]string{etcdBinary}, etcd.Args(e)...),
	}
	ask, cancel := context.WithTimeout(ctx, infoTimeout)
	defer cancel()
	s, err := m.Status(ask)
	if err != nil {
		info.Exit = m.whyLost(ctx)
		return info, ctx.Err()
	}
	s.Fill(&info)
	return info, nil
}

// whyLost asks the engine why an agent does not answer.
func (m *member) whyLost(ctx context.Context) string {
	ask, cancel := context.WithTimeout(ctx, infoTimeout)
	defer cancel()
	up := "; etcdlab up " + m.lab
	c, err := m.p.api.ContainerInspect(ask, containerName(m.lab, m.name))
	switch {
	case isGone(err):
		if _, err := m.p.api.VolumeInspect(ask, volumeName(m.lab, m.name)); isGone(err) {
			return "its container and its volume are gone, removed by somebody else; take the lab down: etcdlab down " + m.lab
		}
		return "its container is gone, removed by somebody else" + up + " makes it again on its old disk"
	case err != nil:
		return oneLine(m.p.explain(ask, "ask the engine for its container", err).Error())
	case c.State.OOMKilled:
		return "its container ran out of memory" + up + " starts it again; raise machine.memory"
	case c.State.Paused:
		return "its container is paused" + up + " lets it go on"
	case !c.State.Running:
		return fmt.Sprintf("its container is %s with status %d (the engine was restarted, or somebody stopped it)%s starts it again", c.State.Status, c.State.ExitCode, up)
	case c.ID != m.id || !slices.Equal(m.published(c), m.listed()):
		return "its container was started again, with other ports" + up + " finds them"
	}
	if dir, err := labDir(m.lab); err == nil {
		if err := hasKeys(m.lab, m.owner, dir); err != nil {
			return err.Error()
		}
	}
	return "its agent does not answer" + up + " starts it again"
}

// published and listed are the container's ports now and as they were found.
func (m *member) published(c container.InspectResponse) []string {
	var all []string
	for _, p := range m.ports(m.spec) {
		for _, b := range c.NetworkSettings.Ports[natPort(p)] {
			all = append(all, b.HostPort)
		}
	}
	return all
}

func (m *member) listed() []string {
	var all []string
	for _, p := range m.ports(m.spec) {
		all = append(all, fmt.Sprint(m.hosts[p]))
	}
	return all
}

// Start starts etcd when no other member of the lab is about to.
func (m *member) Start(ctx context.Context) error {
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return fmt.Errorf("start etcd of %s: %w", m.name, ctx.Err())
	}
	return m.Client.Start(ctx)
}

// SetLink takes the link down inside of the container, or where that may not
// change its links, takes the container off the lab's network.
func (m *member) SetLink(ctx context.Context, up bool) error {
	if m.spec.Disk.Kind != "plain" {
		return m.Client.SetLink(ctx, up)
	}
	return m.p.plug(ctx, m, up)
}

// Configure brings the programs of another build into the container first.
func (m *member) Configure(ctx context.Context, s *lab.Settings) error {
	return m.ConfigureAt(ctx, s)
}
