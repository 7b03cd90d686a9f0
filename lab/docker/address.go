package docker

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"

	"github.com/docker/docker/api/types/network"

	"github.com/etcdlab/etcdlab/lab"
)

// pools are where subnets are chosen from. The engine's own choices begin with
// 172.17.0.0/16 and take /16s upwards and then 192.168.0.0; labs of processes
// are in 198.18.0.0/15.
var pools = []netip.Prefix{netip.MustParsePrefix("172.30.0.0/16"), netip.MustParsePrefix("10.213.0.0/16")}

// taken is a subnet of the engine's with the network that has it.
type taken struct {
	subnet  netip.Prefix
	network string
}

// takenBy lists the subnets of the engine's networks.
func takenBy(networks []network.Summary) []taken {
	var all []taken
	for _, n := range networks {
		for _, c := range n.IPAM.Config {
			p, err := netip.ParsePrefix(c.Subnet)
			if err != nil {
				continue
			}
			who := "network " + n.Name
			if l := n.Labels[labelLab]; l != "" {
				who = "lab " + l
			}
			all = append(all, taken{p.Masked(), who})
		}
	}
	return all
}

// candidates are the subnets to try, best first: the wanted one, or those that
// overlap none of the engine's, from one given by the lab's name on, so that a
// lab tends to get the same each time.
func candidates(labName, wanted string, used []taken) ([]netip.Prefix, error) {
	overlap := func(p netip.Prefix) string {
		i := slices.IndexFunc(used, func(t taken) bool { return t.subnet.Overlaps(p) })
		if i < 0 {
			return ""
		}
		return fmt.Sprintf("%s, which has %s", used[i].network, used[i].subnet)
	}
	if wanted != "" {
		p, err := netip.ParsePrefix(wanted)
		if err != nil || !p.Addr().Is4() || p.Bits() > 28 {
			return nil, lab.Misuse("network.subnet %q: want an IPv4 subnet such as 172.30.7.0/24", wanted)
		}
		if by := overlap(p); by != "" {
			return nil, lab.Misuse("network.subnet %s overlaps the Docker %s; choose another, or leave it out", wanted, by)
		}
		return []netip.Prefix{p.Masked()}, nil
	}
	h := fnv.New32a()
	h.Write([]byte(labName))
	const count = 1 << (24 - 16)
	var free []netip.Prefix
	for _, pool := range pools {
		base := pool.Addr().As4()
		for i := range count {
			k := (int(h.Sum32()%count) + i) % count
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{base[0], base[1], byte(k), 0}), 24)
			if overlap(p) == "" {
				free = append(free, p)
			}
		}
	}
	if len(free) == 0 {
		return nil, lab.Misuse("no /24 of %v is free among the engine's networks; set network.subnet, or remove networks (docker network prune)", pools)
	}
	return free, nil
}

// addresses of a lab of n members in its subnet. A member's stay its own for
// its life.
type addresses struct {
	subnet netip.Prefix
	n      int
	inside bool // etcd has an address beside its container's
}

// check says what is wrong if they do not fit.
func (a addresses) check() error {
	last := a.container(a.n - 1)
	if !a.inside {
		last = a.etcd(a.n - 1)
	}
	if !a.subnet.Contains(last) || !a.subnet.Contains(last.Next()) { // the last of all is for broadcasts
		return lab.Misuse("network.subnet %s is too small for %d members, which have two addresses each; a /24 always suffices", a.subnet, a.n)
	}
	return nil
}

func (a addresses) gateway() netip.Addr { return a.at(1) }

// etcd is where a member's etcd is.
func (a addresses) etcd(i int) netip.Addr {
	if a.subnet.Bits() > 24 {
		return a.at(2 + i)
	}
	return a.at(11 + i) // readable
}

// container is where its agent is, if that is elsewhere.
func (a addresses) container(i int) netip.Addr {
	switch {
	case !a.inside:
		return a.etcd(i)
	case a.subnet.Bits() > 24:
		return a.at(2 + a.n + i)
	}
	return a.at(101 + i)
}

func (a addresses) at(host int) netip.Addr {
	b := a.subnet.Masked().Addr().As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	v += uint32(host)
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// ipam reserves etcd's addresses, which the engine otherwise does not know to
// be in use.
func (a addresses) ipam(members []string) *network.IPAM {
	c := network.IPAMConfig{Subnet: a.subnet.String(), Gateway: a.gateway().String()}
	if a.inside {
		c.AuxAddress = map[string]string{}
		for i, m := range members {
			c.AuxAddress["etcd-"+m] = a.etcd(i).String()
		}
	}
	return &network.IPAM{Driver: "default", Config: []network.IPAMConfig{c}}
}
