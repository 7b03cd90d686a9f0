package process

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/lab"
)

// pool is the range that RFC 2544 sets aside for benchmarks: in use on no
// network that anybody should reach.
var pool = netip.MustParsePrefix("198.18.0.0/15")

// chooseSubnet checks the wanted subnet, or finds a free one by the hash of the
// lab's name, so that a lab tends to get the same each time. The caller holds
// the lock of all labs' networks until the subnet is in use.
func chooseSubnet(labName, wanted string) (netip.Prefix, error) {
	used, err := usedPrefixes(lab.HostLink(labName))
	if err != nil {
		return netip.Prefix{}, err
	}
	if wanted != "" {
		p, err := netip.ParsePrefix(wanted)
		if err != nil || !p.Addr().Is4() || p.Bits() > 28 {
			return p, lab.Misuse("network.subnet %q: want an IPv4 subnet such as 198.18.7.0/24", wanted)
		}
		if by, taken := used.overlap(p); taken {
			return p, lab.Misuse("network.subnet %s is in use by %s; choose another, or leave it out", wanted, by)
		}
		return p.Masked(), nil
	}
	h := fnv.New32a()
	h.Write([]byte(labName))
	const count = 1 << (24 - 15)
	start := int(h.Sum32() % count)
	for i := range count {
		k := (start + i) % count
		base := pool.Addr().As4()
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{base[0], base[1] + byte(k>>8), byte(k), 0}), 24)
		if _, taken := used.overlap(p); !taken {
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("no /24 of %s is free; set network.subnet", pool)
}

// prefixes are subnets with who uses them.
type prefixes map[netip.Prefix]string

func (ps prefixes) overlap(p netip.Prefix) (by string, taken bool) {
	for q, by := range ps {
		if q.Overlaps(p) {
			return by, true
		}
	}
	return "", false
}

// usedPrefixes lists the host's addresses and routes but those of one link. Very
// short prefixes, such as a VPN's 0.0.0.0/1, are default routes in disguise.
func usedPrefixes(except string) (prefixes, error) {
	const shortest = 8
	used := prefixes{}
	add := func(n *net.IPNet, index int) {
		if n == nil {
			return
		}
		ones, _ := n.Mask.Size()
		ip, ok := netip.AddrFromSlice(n.IP.To4())
		if !ok || ones < shortest {
			return
		}
		by := fmt.Sprintf("interface %d", index)
		if link, err := netlink.LinkByIndex(index); err == nil {
			if link.Attrs().Name == except {
				return
			}
			by = "interface " + link.Attrs().Name
			if l, ok := lab.ParseLinkAlias(link.Attrs().Alias); ok {
				by = "lab " + l
			}
		}
		used[netip.PrefixFrom(ip, ones).Masked()] = by
	}
	addrs, err := undisturbed(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, unix.AF_INET) })
	if err != nil {
		return nil, fmt.Errorf("list the host's addresses: %w", err)
	}
	for _, a := range addrs {
		add(a.IPNet, a.LinkIndex)
	}
	routes, err := undisturbed(func() ([]netlink.Route, error) { return netlink.RouteList(nil, unix.AF_INET) })
	if err != nil {
		return nil, fmt.Errorf("list the host's routes: %w", err)
	}
	for _, r := range routes {
		add(r.Dst, r.LinkIndex)
	}
	return used, nil
}

// undisturbed lists again what somebody changed while it was listed: another lab
// that comes or goes.
func undisturbed[T any](list func() ([]T, error)) (all []T, err error) {
	for range 100 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

// lockNetworks serialises the choice of subnets between labs.
func lockNetworks(ctx context.Context) (unlock func(), err error) {
	return lab.LockFile(ctx, filepath.Join(lab.RunRoot, ".network.lock"))
}
