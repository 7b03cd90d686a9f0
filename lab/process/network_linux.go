package process

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/internal/netns"
	"github.com/etcdlab/etcdlab/lab"
)

// Names inside the lab's namespaces.
const (
	bridgeName = "lab0" // the switch
	uplinkName = "host" // the switch's port to the host
	memberLink = "eth0"
)

// network is a lab's own: a bridge in a namespace of its own, so that neither a
// firewall of the host nor Docker's forwarding rules touch what members say to
// each other, with one port to the host and one to each member's namespace.
type network struct {
	lab     string
	subnet  netip.Prefix
	members []string
}

// host and member addresses. A member's stays its own for its life.
func (n *network) host() netip.Addr { return n.at(1) }

func (n *network) member(i int) netip.Addr {
	first := 11 // readable in a /24
	if n.subnet.Bits() > 26 {
		first = 2
	}
	return n.at(first + i)
}

func (n *network) at(host int) netip.Addr {
	b := n.subnet.Masked().Addr().As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	v += uint32(host)
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// port names the switch's end of a member's link.
func port(i int) string { return fmt.Sprintf("p%d", i+1) }

// ensureSwitch makes what is missing of the switch and the host's port to it.
func (n *network) ensureSwitch() error {
	sw := lab.NetNS(n.lab, "")
	if err := netns.Ensure(sw); err != nil {
		return err
	}
	h, err := netns.Handle(sw)
	if err != nil {
		return err
	}
	defer h.Close()
	if _, err := h.LinkByName(bridgeName); netns.IsNoLink(err) {
		off := false
		bridge := &netlink.Bridge{LinkAttrs: netns.Attrs(bridgeName), MulticastSnooping: &off}
		if err := h.LinkAdd(bridge); err != nil {
			return needs("bridge", "make the switch of lab "+n.lab, err)
		}
	}
	bridge, err := h.LinkByName(bridgeName)
	if err != nil {
		return fmt.Errorf("find the switch of lab %s: %w", n.lab, err)
	}
	if err := h.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("set the switch of lab %s up: %w", n.lab, err)
	}
	host, err := netns.Handle("")
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer host.Close()
	end := netns.Cable{
		Inside: host, Name: lab.HostLink(n.lab), IP: n.host(), Bits: n.subnet.Bits(),
		Alias: lab.LinkAlias(n.lab), Switch: h, Port: uplinkName, Bridge: bridge,
	}
	if err := end.Ensure(); err != nil {
		return needs("veth", "connect the host to lab "+n.lab, err)
	}
	return n.setNeighbours(host, lab.HostLink(n.lab), n.host())
}

// ensureMember makes what is missing of a member's namespace and link; a link
// that was taken down is up again.
func (n *network) ensureMember(i int) error {
	name, sw := n.members[i], lab.NetNS(n.lab, "")
	ns := lab.NetNS(n.lab, name)
	if err := netns.Ensure(ns); err != nil {
		return err
	}
	h, err := netns.Handle(sw)
	if err != nil {
		return err
	}
	defer h.Close()
	inside, err := netns.Handle(ns)
	if err != nil {
		return err
	}
	defer inside.Close()
	bridge, err := h.LinkByName(bridgeName)
	if err != nil {
		return fmt.Errorf("find the switch of lab %s: %w", n.lab, err)
	}
	end := netns.Cable{
		Inside: inside, InsideNS: ns, Name: memberLink, IP: n.member(i), Bits: n.subnet.Bits(),
		Alias: "etcdlab member=" + name, Switch: h, Port: port(i), Bridge: bridge,
	}
	if err := end.Ensure(); err != nil {
		return needs("veth", "connect member "+name, err)
	}
	return n.setNeighbours(inside, memberLink, n.member(i))
}

// setNeighbours makes every other address of the lab known for good.
func (n *network) setNeighbours(h *netlink.Handle, link string, own netip.Addr) error {
	l, err := h.LinkByName(link)
	if err != nil {
		return fmt.Errorf("find link %s: %w", link, err)
	}
	all := []netip.Addr{n.host()}
	for i := range n.members {
		all = append(all, n.member(i))
	}
	for _, ip := range all {
		if ip == own {
			continue
		}
		if err := netns.SetNeighbour(h, l, ip); err != nil {
			return err
		}
	}
	return nil
}

// removeNetwork removes the host's port, the members' namespaces and the
// switch's, whatever of them there is.
func removeNetwork(labName string, members []string) error {
	var errs []error
	// Explicitly, as the kernel removes the links of a namespace some time
	// after it, and the subnet would look used until then.
	if link, err := netlink.LinkByName(lab.HostLink(labName)); err == nil {
		if owner, ok := lab.ParseLinkAlias(link.Attrs().Alias); !ok || owner == labName {
			if err := netlink.LinkDel(link); err != nil && !netns.IsNoLink(err) {
				errs = append(errs, fmt.Errorf("remove link %s: %w", link.Attrs().Name, err))
			}
		}
	} else if !netns.IsNoLink(err) {
		errs = append(errs, fmt.Errorf("find link %s: %w", lab.HostLink(labName), err))
	}
	for _, m := range append(members, "") {
		errs = append(errs, netns.Delete(lab.NetNS(labName, m)))
	}
	return errors.Join(errs...)
}

// needs turns "this kernel has no such thing" into what to do about it.
func needs(module, doing string, err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) || strings.Contains(err.Error(), "not supported") {
		return &lab.EnvironmentError{
			Check: module, Found: "none in this kernel (" + doing + ": " + err.Error() + ")",
			Needed: "network links of kind " + module, Get: "modprobe " + module,
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}
