package process

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/etcd"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// tlsDir holds a lab's certificates in its state directory. No member can be
// called so.
const tlsDir = ".tls"

// build is a lab being made or brought back.
type build struct {
	p     *Provider
	m     *lab.Manifest
	net   network
	names []string
}

// newBuild plans a lab; nothing is made yet.
func newBuild(p *Provider, s *spec.Lab, images map[string]lab.Binaries) (*build, error) {
	root, err := lab.StateRoot()
	if err != nil {
		return nil, err
	}
	b := &build{p: p, m: &lab.Manifest{
		Name: s.Name, Provider: Name, Created: time.Now().UTC(), Spec: s, StateDir: filepath.Join(root, s.Name),
	}}
	for _, sm := range s.Members {
		b.names = append(b.names, sm.Name)
		stateDir := filepath.Join(b.m.StateDir, sm.Name)
		dir := memberDir(s.Name, sm.Name)
		b.m.Members = append(b.m.Members, lab.ManifestMember{
			Name: sm.Name, Binaries: images[sm.Name], Dir: dir, StateDir: stateDir,
			DataDir: agent.DataDir(s.Disk.Kind, dir, stateDir), LogFile: filepath.Join(stateDir, "etcd.log"),
		})
	}
	b.net = network{lab: s.Name, members: b.names}
	return b, nil
}

// loadBuild is the lab that a manifest describes.
func loadBuild(p *Provider, m *lab.Manifest) (*build, error) {
	subnet, err := netip.ParsePrefix(m.Subnet)
	if err != nil {
		return nil, fmt.Errorf("read the manifest of lab %s: %w", m.Name, err)
	}
	return &build{p: p, m: m, names: m.Names(), net: network{lab: m.Name, subnet: subnet, members: m.Names()}}, nil
}

// makeNetwork chooses the subnet and makes the switch, before another lab can
// choose the same.
func (b *build) makeNetwork(ctx context.Context) error {
	unlock, err := lockNetworks(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if b.net.subnet, err = chooseSubnet(b.m.Name, b.m.Spec.Network.Subnet); err != nil {
		return err
	}
	if last := b.net.member(len(b.names) - 1); !b.net.subnet.Contains(last.Next()) {
		return lab.Misuse("network.subnet %s is too small for %d members", b.net.subnet, len(b.names))
	}
	b.m.Subnet = b.net.subnet.String()
	return b.net.ensureSwitch()
}

// describe fills in what follows from the addresses: certificates, URLs and
// command lines.
func (b *build) describe() error {
	var peers []etcd.Peer
	for i := range b.m.Members {
		b.m.Members[i].IP = b.net.member(i).String()
		peers = append(peers, etcd.Peer{Name: b.names[i], IP: b.m.Members[i].IP})
	}
	files, err := b.certificates()
	if err != nil {
		return err
	}
	for i := range b.m.Members {
		mm := &b.m.Members[i]
		own := b.m.Spec.EtcdFor(mm.Name)
		e := etcd.Member{
			Lab: b.m.Name, Name: mm.Name, IP: mm.IP, DataDir: mm.DataDir,
			Version: mm.Binaries.Version, Peers: peers, TLS: files[mm.Name], Args: own.Args,
		}
		mm.ClientURL, mm.PeerURL, mm.Args = e.ClientURL(), e.PeerURL(), etcd.Args(&e)
		mm.Env = []string{"PATH=" + os.Getenv("PATH")}
		if own.Failpoints == nil || *own.Failpoints {
			mm.FailpointURL = e.FailpointURL()
			mm.Env = append(mm.Env, fmt.Sprintf("GOFAIL_HTTP=%s:%d", mm.IP, etcd.FailpointPort))
		}
		for k, v := range own.Env {
			mm.Env = append(mm.Env, k+"="+v)
		}
	}
	return nil
}

// certificates makes them for a lab with TLS, by member.
func (b *build) certificates() (map[string]*lab.TLSFiles, error) {
	if !b.m.Spec.TLS {
		return nil, nil
	}
	dir := filepath.Join(b.m.StateDir, tlsDir)
	members := filepath.Join(dir, "members")
	if err := os.MkdirAll(members, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of certificates: %w", err)
	}
	authority, err := lab.NewAuthority(b.m.Name, dir)
	if err != nil {
		return nil, err
	}
	if b.m.TLS, err = authority.Issue(dir, "client"); err != nil {
		return nil, err
	}
	files := map[string]*lab.TLSFiles{}
	for _, mm := range b.m.Members {
		if files[mm.Name], err = authority.Issue(members, mm.Name, net.ParseIP(mm.IP)); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// startAgent writes the agent's configuration and starts it. It returns when
// the agent answers.
func (b *build) startAgent(ctx context.Context, i int) error {
	mm := b.m.Members[i]
	c := agent.Config{
		Lab: b.m.Name, Member: mm.Name, Self: b.p.Agent, StateDir: mm.StateDir,
		NetNS: lab.NetNS(b.m.Name, mm.Name), SwitchNS: lab.NetNS(b.m.Name, ""), Port: port(i), Freezer: b.p.Freezer,
		Disk: b.m.Spec.Disk, DataDir: mm.DataDir, LogFile: mm.LogFile,
		Tools: filepath.Dir(mm.Binaries.Etcdctl), ClientURL: mm.ClientURL, ClientTLS: b.m.TLS,
		Etcd: mm.Binaries.Etcd, Version: mm.Binaries.Version, PeerURL: mm.PeerURL, Args: mm.Args, Env: mm.Env,
	}
	if err := c.Write(mm.Dir); err != nil {
		return err
	}
	return agent.Launch(ctx, b.p.Agent, mm.Dir, filepath.Join(mm.StateDir, "agent.log"), startTimeout)
}
