package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Cable is a veth pair from a namespace (or the caller's own) to a port of a
// bridge.
type Cable struct {
	Inside   *netlink.Handle // where the addressed end is
	InsideNS string          // its name; "" is the caller's own
	Name     string
	IP       netip.Addr
	Bits     int
	Alias    string
	MTU      int // 0 is the kernel's own

	Switch *netlink.Handle
	Port   string
	Bridge netlink.Link
}

// Ensure makes what is missing and sets both ends up.
func (c *Cable) Ensure() error {
	_, errEnd := c.Inside.LinkByName(c.Name)
	_, errPort := c.Switch.LinkByName(c.Port)
	if IsNoLink(errEnd) || IsNoLink(errPort) {
		if err := c.lay(); err != nil {
			return err
		}
	}
	end, err := c.Inside.LinkByName(c.Name)
	if err != nil {
		return err
	}
	if end.Attrs().Alias != c.Alias {
		if err := c.Inside.LinkSetAlias(end, c.Alias); err != nil {
			return fmt.Errorf("set the alias of %s: %w", c.Name, err)
		}
	}
	if err := c.Inside.AddrReplace(end, &netlink.Addr{IPNet: &net.IPNet{
		IP: c.IP.AsSlice(), Mask: net.CIDRMask(c.Bits, 32),
	}}); err != nil {
		return fmt.Errorf("set address %s of %s: %w", c.IP, c.Name, err)
	}
	port, err := c.Switch.LinkByName(c.Port)
	if err != nil {
		return err
	}
	if err := c.Switch.LinkSetMaster(port, c.Bridge); err != nil {
		return fmt.Errorf("plug %s into the bridge: %w", c.Port, err)
	}
	return errors.Join(c.Switch.LinkSetUp(port), c.Inside.LinkSetUp(end))
}

// lay makes the pair, from the bridge's side; half a pair, as an interrupted
// removal leaves, is removed first.
func (c *Cable) lay() error {
	for h, name := range map[*netlink.Handle]string{c.Inside: c.Name, c.Switch: c.Port} {
		if l, err := h.LinkByName(name); err == nil {
			if err := h.LinkDel(l); err != nil && !IsNoLink(err) {
				return fmt.Errorf("remove link %s: %w", name, err)
			}
		}
	}
	pair := &netlink.Veth{LinkAttrs: Attrs(c.Port), PeerName: c.Name, PeerHardwareAddr: MAC(c.IP)}
	if c.MTU != 0 {
		pair.MTU, pair.PeerMTU = c.MTU, uint32(c.MTU)
	}
	if c.InsideNS == "" {
		// The caller's own namespace has no name; a thread of ours is in it.
		pair.PeerNamespace = netlink.NsPid(unix.Getpid())
	} else {
		f, err := FD(c.InsideNS)
		if err != nil {
			return err
		}
		defer f.Close()
		pair.PeerNamespace = netlink.NsFd(f.Fd())
	}
	if err := c.Switch.LinkAdd(pair); err != nil {
		return fmt.Errorf("make the link %s: %w", c.Name, err)
	}
	return nil
}

// MAC gives each address a MAC of its own, so that neighbours can be set for
// good: an ARP request lost during an outage costs a second after it.
func MAC(ip netip.Addr) net.HardwareAddr {
	b := ip.As4()
	return net.HardwareAddr{0x02, 0xe1, b[0], b[1], b[2], b[3]}
}

// SetNeighbour makes an address with its MAC known for good on a link.
func SetNeighbour(h *netlink.Handle, link netlink.Link, ip netip.Addr) error {
	return SetNeighbourAt(h, link, ip, MAC(ip))
}

// SetNeighbourAt is SetNeighbour for an address with another MAC than ours.
func SetNeighbourAt(h *netlink.Handle, link netlink.Link, ip netip.Addr, mac net.HardwareAddr) error {
	err := h.NeighSet(&netlink.Neigh{
		LinkIndex: link.Attrs().Index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT,
		IP: ip.AsSlice(), HardwareAddr: mac,
	})
	if err != nil {
		return fmt.Errorf("set neighbour %s of %s: %w", ip, link.Attrs().Name, err)
	}
	return nil
}

// Ensure makes the namespace unless it is there. A name without a namespace,
// which a reboot can leave, is removed first.
func Ensure(name string) error {
	if Exists(name) {
		return nil
	}
	if err := Delete(name); err != nil {
		return err
	}
	return Create(name)
}

// Attrs are those of a new link.
func Attrs(name string) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Name = name
	return a
}

// IsNoLink says that there is no such link.
func IsNoLink(err error) bool {
	var no netlink.LinkNotFoundError
	return errors.As(err, &no) || errors.Is(err, unix.ENODEV)
}
