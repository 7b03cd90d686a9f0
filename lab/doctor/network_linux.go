package doctor

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// inScratch runs f on a thread in a network namespace of its own, which is gone
// with the thread. The process's first thread never ends, so it is not used.
func inScratch(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			done <- inScratch(f)
			runtime.UnlockOSThread()
			return
		}
		ns, err := netns.New() // the thread is never unlocked: the runtime ends it
		if err != nil {
			done <- fmt.Errorf("make a network namespace: %w", err)
			return
		}
		defer ns.Close()
		done <- f()
	}()
	return <-done
}

// linked makes a bridge with one end of a veth pair in it, both up.
func linked(h *netlink.Handle) error {
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "doctor-br"}}
	if err := h.LinkAdd(bridge); err != nil {
		return fmt.Errorf("make a bridge: %w", err)
	}
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "doctor-a"}, PeerName: "doctor-b"}
	if err := h.LinkAdd(pair); err != nil {
		return fmt.Errorf("make a veth pair: %w", err)
	}
	if err := h.LinkSetMaster(pair, bridge); err != nil {
		return fmt.Errorf("put the veth into the bridge: %w", err)
	}
	for _, l := range []netlink.Link{bridge, pair} {
		if err := h.LinkSetUp(l); err != nil {
			return fmt.Errorf("bring %s up: %w", l.Attrs().Name, err)
		}
	}
	return nil
}

func withNetlink(f func(h *netlink.Handle) error) error {
	return inScratch(func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("open netlink: %w", err)
		}
		defer h.Close()
		return f(h)
	})
}

func namespaces(context.Context) (string, error) {
	if err := withNetlink(linked); err != nil {
		return "", err
	}
	return "namespace, bridge, veth", nil
}

func netem(context.Context) (string, error) {
	err := withNetlink(func(h *netlink.Handle) error {
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "doctor-a"}, PeerName: "doctor-b"}
		if err := h.LinkAdd(link); err != nil {
			return fmt.Errorf("make a veth pair: %w", err)
		}
		attrs := netlink.QdiscAttrs{LinkIndex: link.Index, Parent: netlink.HANDLE_ROOT, Handle: netlink.MakeHandle(1, 0)}
		if err := h.QdiscAdd(netlink.NewNetem(attrs, netlink.NetemQdiscAttrs{Latency: 1000})); err != nil {
			return fmt.Errorf("add a netem qdisc: %w", err)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return "a netem qdisc", nil
}

func filter(context.Context) (string, error) {
	err := inScratch(func() error {
		ns, err := netns.Get()
		if err != nil {
			return err
		}
		defer ns.Close()
		c, err := nftables.New(nftables.WithNetNSFd(int(ns)))
		if err != nil {
			return fmt.Errorf("open netlink for nftables: %w", err)
		}
		// What a partition needs: a chain that sees forwarded packets.
		table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "doctor"})
		c.AddChain(&nftables.Chain{Name: "forward", Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter})
		if err := c.Flush(); err != nil {
			return fmt.Errorf("add a table: %w", err)
		}
		tables, err := c.ListTables()
		if err != nil || len(tables) != 1 {
			return fmt.Errorf("list tables: %d, %v", len(tables), err)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return "a table with a chain", nil
}

func tun(context.Context) (string, error) {
	err := inScratch(func() error {
		f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		request, err := unix.NewIfreq("doctor-tun")
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(int(f.Fd()), unix.TUNSETIFF, request); err != nil {
			return fmt.Errorf("make a tun device: %w", err)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return "/dev/net/tun", nil
}
