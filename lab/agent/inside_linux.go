package agent

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/internal/netns"
)

// Names of what is made in a container.
const (
	insideBridge = "etcdlab0"
	insideLink   = "eth0" // etcd's, in its namespace
)

// makeInside makes etcd's network in the container: the container's link becomes
// a port of a bridge that takes over its addresses and routes, and etcd's
// namespace is behind another port. What is there already stays, so an agent
// that starts again changes nothing but a link that was down.
func makeInside(c *Config) error {
	address, err := netip.ParsePrefix(c.Inside.Address)
	if err != nil || !address.Addr().Is4() {
		return fmt.Errorf("make etcd's network: inside.address %q: want an IPv4 address with its prefix, such as 172.18.0.11/16", c.Inside.Address)
	}
	own, err := netns.Handle("")
	if err != nil {
		return fmt.Errorf("make etcd's network: open netlink: %w", err)
	}
	defer own.Close()
	bridge, err := takeOver(own, c.Inside.Link)
	if err != nil {
		return fmt.Errorf("make etcd's network: %w", err)
	}
	if err := netns.Ensure(c.NetNS); err != nil {
		return fmt.Errorf("make etcd's network: %w", err)
	}
	inside, err := netns.Handle(c.NetNS)
	if err != nil {
		return fmt.Errorf("make etcd's network: %w", err)
	}
	defer inside.Close()
	end := netns.Cable{
		Inside: inside, InsideNS: c.NetNS, Name: insideLink, IP: address.Addr(), Bits: address.Bits(),
		Alias: "etcdlab member=" + c.Member, MTU: bridge.Attrs().MTU, Switch: own, Port: c.Port, Bridge: bridge,
	}
	if err := end.Ensure(); err != nil {
		return fmt.Errorf("make etcd's network: %w", err)
	}
	if err := knowEachOther(own, inside, bridge, address.Addr(), c.Inside.Peers); err != nil {
		return fmt.Errorf("make etcd's network: %w", err)
	}
	return nil
}

// takeOver makes the bridge, with the link as a port, and moves the link's
// addresses and routes to it. At no step is there less than before, so that an
// agent killed at any of them can go on from there.
func takeOver(own *netlink.Handle, name string) (netlink.Link, error) {
	link, err := own.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find the container's link %s: %w", name, err)
	}
	bridge, err := ensureBridge(own, link)
	if err != nil {
		return nil, err
	}
	addresses, err := own.AddrList(link, unix.AF_INET)
	if err != nil {
		return nil, fmt.Errorf("list the addresses of %s: %w", name, err)
	}
	routes, err := own.RouteList(link, unix.AF_INET)
	if err != nil {
		return nil, fmt.Errorf("list the routes over %s: %w", name, err)
	}
	for _, a := range addresses {
		same := &netlink.Addr{IPNet: a.IPNet, Broadcast: a.Broadcast}
		if err := own.AddrReplace(bridge, same); err != nil {
			return nil, fmt.Errorf("give %s the address %s: %w", insideBridge, a.IPNet, err)
		}
	}
	if err := own.LinkSetMaster(link, bridge); err != nil {
		return nil, fmt.Errorf("plug %s into %s: %w", name, insideBridge, err)
	}
	for _, r := range routes {
		if r.Protocol == unix.RTPROT_KERNEL {
			continue // comes with its address
		}
		r.LinkIndex = bridge.Attrs().Index
		if err := own.RouteReplace(&r); err != nil {
			return nil, fmt.Errorf("move the route %s to %s: %w", r, insideBridge, err)
		}
	}
	for _, a := range addresses {
		if err := own.AddrDel(link, &a); err != nil {
			return nil, fmt.Errorf("take the address %s from %s: %w", a.IPNet, name, err)
		}
	}
	return bridge, nil
}

// ensureBridge makes the bridge with the link's MAC, by which its neighbours
// know the container.
func ensureBridge(own *netlink.Handle, link netlink.Link) (netlink.Link, error) {
	if _, err := own.LinkByName(insideBridge); netns.IsNoLink(err) {
		off := false
		b := &netlink.Bridge{LinkAttrs: netns.Attrs(insideBridge), MulticastSnooping: &off}
		b.HardwareAddr, b.MTU = link.Attrs().HardwareAddr, link.Attrs().MTU
		if err := own.LinkAdd(b); err != nil {
			return nil, fmt.Errorf("make the bridge %s: %w: the container needs NET_ADMIN, and the kernel bridges", insideBridge, err)
		}
	}
	bridge, err := own.LinkByName(insideBridge)
	if err != nil {
		return nil, fmt.Errorf("find the bridge %s: %w", insideBridge, err)
	}
	if err := own.LinkSetUp(bridge); err != nil {
		return nil, fmt.Errorf("set the bridge %s up: %w", insideBridge, err)
	}
	return bridge, nil
}

// knowEachOther gives etcd's namespace a way out, and sets the neighbours that
// are known: those that an outage must not make to be asked for.
func knowEachOther(own, inside *netlink.Handle, bridge netlink.Link, etcd netip.Addr, peers []string) error {
	link, err := inside.LinkByName(insideLink)
	if err != nil {
		return fmt.Errorf("find etcd's link: %w", err)
	}
	if err := netns.SetNeighbour(own, bridge, etcd); err != nil {
		return err
	}
	// The agent's own side, too: what etcd had in flight at a loss of power asks
	// for it in vain, and an answer to the agent would wait for the next asking.
	near, err := own.AddrList(bridge, unix.AF_INET)
	if err != nil {
		return fmt.Errorf("list the addresses of %s: %w", insideBridge, err)
	}
	for _, a := range near {
		if ip, ok := netip.AddrFromSlice(a.IP.To4()); ok {
			if err := netns.SetNeighbourAt(inside, link, ip, bridge.Attrs().HardwareAddr); err != nil {
				return err
			}
		}
	}
	for _, p := range peers {
		ip, err := netip.ParseAddr(p)
		if err != nil || !ip.Is4() {
			return fmt.Errorf("inside.peers: %q is no IPv4 address", p)
		}
		if ip == etcd {
			continue
		}
		if err := netns.SetNeighbour(inside, link, ip); err != nil {
			return err
		}
	}
	out, err := gateway(own, bridge)
	if err != nil || out == nil {
		return err
	}
	if err := inside.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: out}); err != nil {
		return fmt.Errorf("give etcd the default route %s: %w", out, err)
	}
	return nil
}

// gateway is that of the bridge's default route; a network without one is fine.
func gateway(own *netlink.Handle, bridge netlink.Link) (net.IP, error) {
	routes, err := own.RouteList(bridge, unix.AF_INET)
	if err != nil {
		return nil, fmt.Errorf("list the routes over %s: %w", insideBridge, err)
	}
	for _, r := range routes {
		if r.Gw == nil {
			continue
		}
		if r.Dst == nil {
			return r.Gw, nil
		}
		if bits, _ := r.Dst.Mask.Size(); bits == 0 {
			return r.Gw, nil
		}
	}
	return nil, nil
}
