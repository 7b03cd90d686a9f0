package agent

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bringUp gives the machine's links their names and addresses.
func (g *Guest) bringUp() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("bring up the loopback link: %w", err)
	}
	if len(g.Links) == 0 {
		return nil
	}
	all, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list the machine's links: %w", err)
	}
	for _, l := range g.Links {
		if err := l.bringUp(all); err != nil {
			return fmt.Errorf("bring up link %s: %w", l.Name, err)
		}
	}
	return nil
}

func (l GuestLink) bringUp(all []netlink.Link) error {
	mac, err := net.ParseMAC(l.MAC)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(link netlink.Link) bool { return bytes.Equal(link.Attrs().HardwareAddr, mac) })
	if i < 0 {
		return fmt.Errorf("the machine has no network card %s", l.MAC)
	}
	link := all[i]
	if link.Attrs().Name != l.Name {
		// Two cards may have to swap names; the kernel takes a free one only.
		for _, other := range all {
			if other.Attrs().Name == l.Name {
				if err := netlink.LinkSetName(other, fmt.Sprintf("was%d", other.Attrs().Index)); err != nil {
					return err
				}
				other.Attrs().Name = fmt.Sprintf("was%d", other.Attrs().Index)
			}
		}
		if err := netlink.LinkSetName(link, l.Name); err != nil {
			return err
		}
		link.Attrs().Name = l.Name
	}
	address, err := netlink.ParseAddr(l.Address)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, address); err != nil {
		return fmt.Errorf("give it %s: %w", l.Address, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	if l.Gateway == "" {
		return nil
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP(l.Gateway)}); err != nil {
		return fmt.Errorf("route by %s: %w", l.Gateway, err)
	}
	return nil
}

func (g *Guest) writeHosts() error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "127.0.0.1 localhost\n127.0.1.1 %s\n", g.Hostname)
	for _, name := range slices.Sorted(maps.Keys(g.Hosts)) {
		fmt.Fprintln(&b, g.Hosts[name], name)
	}
	if err := os.WriteFile("/etc/hosts", b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the names of hosts: %w", err)
	}
	return nil
}

// rndAddEntropy is RNDADDENTROPY, _IOW('R', 3, int[2]).
const rndAddEntropy = 0x40085203

// addRandomness credits the seed to the kernel: writing to the device would mix
// it in without counting it.
func addRandomness(seed []byte) error {
	if len(seed) == 0 {
		return nil
	}
	f, err := os.OpenFile("/dev/urandom", os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("seed the random numbers: %w", err)
	}
	defer f.Close()
	pool := struct { // struct rand_pool_info
		bits, size int32
		data       [64]byte
	}{}
	n := copy(pool.data[:], seed)
	pool.bits, pool.size = int32(8*n), int32(n)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), rndAddEntropy, uintptr(unsafe.Pointer(&pool))); e != 0 {
		return fmt.Errorf("seed the random numbers: %w", e)
	}
	return nil
}
