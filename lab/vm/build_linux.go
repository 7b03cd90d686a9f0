package vm

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/etcdlab/etcdlab/images/guest"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/etcd"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Places in the guest.
const (
	guestEtcd  = guest.BinDir + "/etcd"
	guestState = "/var/lib/etcdlab"
	guestLog   = guestState + "/etcd.log"
	agentPort  = 2378
)

// tlsDir holds a lab's certificates in its state directory. No member can be
// called so.
const tlsDir = ".tls"

// pool is the range that RFC 2544 sets aside for benchmarks. A lab's subnet is
// not reachable from the host, so any is free.
var pool = netip.MustParsePrefix("198.18.0.0/15")

// build is a lab being made or brought back.
type build struct {
	p     *Provider
	m     *lab.Manifest
	qemu  string
	accel accel
}

// newBuild plans a lab; nothing is made yet.
func newBuild(p *Provider, s *spec.Lab, images map[string]lab.Binaries) (*build, error) {
	root, err := stateRoot()
	if err != nil {
		return nil, err
	}
	b := &build{p: p, m: &lab.Manifest{
		Name: s.Name, Provider: Name, Created: time.Now().UTC(), Spec: s, StateDir: filepath.Join(root, s.Name),
	}}
	subnet, err := subnetOf(s)
	if err != nil {
		return nil, err
	}
	b.m.Subnet = subnet.String()
	for i, sm := range s.Members {
		stateDir := filepath.Join(b.m.StateDir, sm.Name)
		b.m.Members = append(b.m.Members, lab.ManifestMember{
			Name: sm.Name, IP: address(subnet, i), Binaries: images[sm.Name],
			Dir: filepath.Join(runDir(s.Name), sm.Name), StateDir: stateDir,
			DataDir: agent.DataDir(agent.KindDevice, guest.MemberDir, guestState),
			LogFile: filepath.Join(stateDir, "etcd.log"),
		})
	}
	return b, nil
}

// subnetOf is the wanted subnet, or one by the hash of the lab's name.
func subnetOf(s *spec.Lab) (netip.Prefix, error) {
	if s.Network.Subnet != "" {
		p, err := netip.ParsePrefix(s.Network.Subnet)
		if err != nil || !p.Addr().Is4() || p.Bits() > 28 {
			return p, lab.Misuse("network.subnet %q: want an IPv4 subnet such as 198.18.7.0/24", s.Network.Subnet)
		}
		if control := netip.MustParsePrefix(guestAddress); p.Overlaps(control) {
			return p, lab.Misuse("network.subnet %s: every guest has %s in use, for its control link; choose another", p, control.Masked())
		}
		return p.Masked(), nil
	}
	h := fnv.New32a()
	h.Write([]byte(s.Name))
	k := int(h.Sum32() % (1 << (24 - 15)))
	base := pool.Addr().As4()
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{base[0], base[1] + byte(k>>8), byte(k), 0}), 24), nil
}

// address of the i-th member: .11 and on, or .2 and on in a small subnet, as
// with provider process.
func address(subnet netip.Prefix, i int) string {
	first := 11
	if subnet.Bits() > 24 {
		first = 2
	}
	a := subnet.Masked().Addr()
	for range first + i {
		a = a.Next()
	}
	return a.String()
}

// describe chooses the host's ports and fills in URLs and command lines.
func (b *build) describe(ctx context.Context) error {
	unlock, err := lab.LockFile(ctx, filepath.Join(runRoot(), ".ports.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	free, err := newPorts(b.m.Name)
	if err != nil {
		return err
	}
	var peers []etcd.Peer
	for _, mm := range b.m.Members {
		peers = append(peers, etcd.Peer{Name: mm.Name, IP: mm.IP})
	}
	for i := range b.m.Members {
		mm := &b.m.Members[i]
		own := b.m.Spec.EtcdFor(mm.Name)
		e := etcd.Member{
			Lab: b.m.Name, Name: mm.Name, IP: mm.IP, DataDir: mm.DataDir,
			Version: mm.Binaries.Version, Peers: peers, Args: b.accel.timers(own.Args),
		}
		if b.m.Spec.TLS {
			e.TLS = guestTLS(mm.Name)
		}
		mm.PeerURL = e.PeerURL()
		mm.Args = listenToo(etcd.Args(&e), e.ClientURL())
		port, err := free.next()
		if err != nil {
			return err
		}
		mm.ClientURL = on(e.ClientURL(), port)
		mm.Env = []string{"PATH=" + guest.BinDir}
		if own.Failpoints == nil || *own.Failpoints {
			if port, err = free.next(); err != nil {
				return err
			}
			mm.FailpointURL = on(e.FailpointURL(), port)
			mm.Env = append(mm.Env, fmt.Sprintf("GOFAIL_HTTP=0.0.0.0:%d", etcd.FailpointPort))
		}
		for _, k := range slices.Sorted(maps.Keys(own.Env)) {
			mm.Env = append(mm.Env, k+"="+own.Env[k])
		}
	}
	// Written while the ports are ours alone to choose.
	return b.m.Write(runDir(b.m.Name))
}

// certificates makes those of the agents, and for a lab with TLS those of etcd.
// One authority signs both: agents know the controller by its unit.
func (b *build) certificates() error {
	dir := filepath.Join(b.m.StateDir, tlsDir)
	members := filepath.Join(dir, "members")
	if err := os.MkdirAll(members, 0o700); err != nil {
		return fmt.Errorf("make the directory of certificates: %w", err)
	}
	authority, err := lab.NewAuthority(b.m.Name, dir)
	if err != nil {
		return err
	}
	if _, err := authority.IssueController(dir); err != nil {
		return err
	}
	if b.m.Spec.TLS {
		if b.m.TLS, err = authority.Issue(dir, "client"); err != nil {
			return err
		}
	}
	for _, mm := range b.m.Members {
		if _, err := authority.IssueAgent(members, mm.Name); err != nil {
			return err
		}
		if !b.m.Spec.TLS {
			continue
		}
		if _, err := authority.Issue(members, mm.Name, net.ParseIP(mm.IP), net.ParseIP("127.0.0.1")); err != nil {
			return err
		}
	}
	return nil
}
