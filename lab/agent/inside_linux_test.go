package agent

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/internal/netns"
)

func init() {
	mains := map[string]func(string) error{"inside": insideMain, "knock": knockMain}
	if len(os.Args) != 3 || mains[os.Args[1]] == nil {
		return
	}
	if err := mains[os.Args[1]](os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// knockMain succeeds if the address is there to refuse a connection.
func knockMain(address string) error {
	c, err := net.DialTimeout("tcp", address+":9", 500*time.Millisecond)
	if errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	if err == nil {
		c.Close()
	}
	return fmt.Errorf("not refused: %v", err)
}

// insideMain makes the network as an agent in a container does, in the namespace
// that this process was started in.
func insideMain(ns string) error {
	c := &Config{Member: "m1", NetNS: ns, Port: "p1", Inside: &Inside{
		Link: "eth0", Address: "198.19.200.77/24", Peers: []string{"198.19.200.77", "198.19.200.78"},
	}}
	return makeInside(c)
}

// container is a namespace that stands for a container's, with eth0 at one side
// and an engine's bridge, here only a link, at the other.
func container(t *testing.T) (engine, inner string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("missing: root, to make network namespaces")
	}
	engine, inner = fmt.Sprintf("agent-engine%d", os.Getpid()), fmt.Sprintf("agent-container%d", os.Getpid())
	for _, ns := range []string{engine, inner} {
		must(t, netns.Create(ns))
		t.Cleanup(func() { must(t, netns.Delete(ns)) })
	}
	out, err := netns.Handle(engine)
	must(t, err)
	defer out.Close()
	in, err := netns.Handle(inner)
	must(t, err)
	defer in.Close()
	peer, err := netns.FD(inner)
	must(t, err)
	defer peer.Close()
	must(t, out.LinkAdd(&netlink.Veth{LinkAttrs: netns.Attrs("docker0"), PeerName: "eth0", PeerNamespace: netlink.NsFd(peer.Fd())}))
	for _, end := range []struct {
		h             *netlink.Handle
		link, address string
	}{{out, "docker0", "198.19.200.1/24"}, {in, "eth0", "198.19.200.7/24"}} {
		link, err := end.h.LinkByName(end.link)
		must(t, err)
		a, err := netlink.ParseAddr(end.address)
		must(t, err)
		must(t, end.h.AddrAdd(link, a))
		must(t, end.h.LinkSetUp(link))
	}
	link, err := in.LinkByName("eth0")
	must(t, err)
	// Higher than that of etcd's port: a bridge takes the lowest one by itself.
	must(t, in.LinkSetHardwareAddr(link, net.HardwareAddr{0x0a, 0xff, 1, 2, 3, 4}))
	must(t, in.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.IPv4(198, 19, 200, 1)}))
	return engine, inner
}

func reaches(t *testing.T, ns, address string) bool {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self, "knock", address)
	must(t, netns.Start(ns, cmd))
	return cmd.Wait() == nil
}

func TestNetworkInsideAContainer(t *testing.T) {
	engine, inner := container(t)
	ns := fmt.Sprintf("agent-etcd%d", os.Getpid())
	t.Cleanup(func() { must(t, netns.Delete(ns)) })
	self, err := os.Executable()
	must(t, err)
	for turn := range 2 {
		cmd := exec.Command(self, "inside", ns)
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		must(t, netns.Start(inner, cmd))
		if err := cmd.Wait(); err != nil {
			t.Fatalf("turn %d: %v: %s", turn, err, &complaint)
		}
	}

	h, err := netns.Handle(inner)
	must(t, err)
	defer h.Close()
	bridge, err := h.LinkByName(insideBridge)
	must(t, err)
	eth0, err := h.LinkByName("eth0")
	must(t, err)
	if bridge.Attrs().HardwareAddr.String() != eth0.Attrs().HardwareAddr.String() {
		t.Errorf("the container's MAC has changed to %v", bridge.Attrs().HardwareAddr)
	}
	if left, err := h.AddrList(eth0, unix.AF_INET); err != nil || len(left) != 0 {
		t.Errorf("eth0 still has %v %v", left, err)
	}
	if has, err := h.AddrList(bridge, unix.AF_INET); err != nil || len(has) != 1 || has[0].IPNet.String() != "198.19.200.7/24" {
		t.Errorf("the bridge has %v %v", has, err)
	}
	routes, err := h.RouteList(nil, unix.AF_INET)
	must(t, err)
	if len(routes) != 2 || !strings.Contains(fmt.Sprint(routes), "Gw: 198.19.200.1") {
		t.Errorf("routes %v", routes)
	}
	gw, err := gateway(h, bridge)
	if err != nil || !gw.Equal(net.IPv4(198, 19, 200, 1)) {
		t.Errorf("gateway %v %v", gw, err)
	}

	etcd := netip.MustParseAddr("198.19.200.77").String()
	// A link may come up later than its command ends, and an address answer late.
	soon := func(ns, address string) bool {
		for end := time.Now().Add(time.Minute); !reaches(t, ns, address); {
			if time.Now().After(end) {
				return false
			}
		}
		return true
	}
	for _, c := range []struct{ from, to string }{
		{engine, "198.19.200.7"}, {engine, etcd}, {inner, etcd}, {ns, "198.19.200.1"}, {ns, "198.19.200.7"}, {inner, "198.19.200.1"},
	} {
		if !soon(c.from, c.to) {
			t.Errorf("%s does not reach %s", c.from, c.to)
		}
	}
	port, err := h.LinkByName("p1")
	must(t, err)
	must(t, h.LinkSetDown(port))
	if reaches(t, engine, etcd) || reaches(t, inner, etcd) {
		t.Error("etcd answers without a link")
	}
	if !soon(engine, "198.19.200.7") {
		t.Error("the agent has lost its network with etcd's")
	}
	must(t, h.LinkSetUp(port))
	start := time.Now()
	if !soon(engine, etcd) {
		t.Error("etcd does not come back")
	}
	t.Logf("back after %v", time.Since(start))
}
