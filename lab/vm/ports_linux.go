package vm

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/etcdlab/etcdlab/lab"
)

// Ports of the host that lead to guests: below those that the kernel gives to
// outgoing connections, so that a lab that is off finds its own again.
const (
	firstPort = 20000
	manyPorts = 12000
)

// ports chooses ports of the host for a lab.
type ports struct {
	at    int
	tried int
	taken map[int]bool // by other labs, which may be off
}

// newPorts starts at a port by the hash of the lab's name, so that a lab tends
// to get the same each time.
func newPorts(name string) (*ports, error) {
	h := fnv.New32a()
	h.Write([]byte(name))
	p := &ports{at: int(h.Sum32() % manyPorts), taken: map[int]bool{}}
	entries, err := os.ReadDir(runRoot())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("look for the ports of other labs: %w", err)
	}
	for _, e := range entries {
		m, err := lab.ReadManifest(runDir(e.Name()))
		if err != nil || m.Name == name {
			continue
		}
		for _, mm := range m.Members {
			p.taken[portOf(mm.ClientURL)], p.taken[portOf(mm.FailpointURL)] = true, true
		}
	}
	return p, nil
}

func (p *ports) next() (int, error) {
	for ; p.tried < manyPorts; p.tried++ {
		port := firstPort + p.at
		p.at = (p.at + 1) % manyPorts
		if p.taken[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		return port, nil
	}
	return 0, fmt.Errorf("no port of 127.0.0.1 between %d and %d is free", firstPort, firstPort+manyPorts-1)
}

// portOf is a URL's port, 0 if it has none.
func portOf(address string) int {
	u, err := url.Parse(address)
	if err != nil {
		return 0
	}
	port, _ := strconv.Atoi(u.Port())
	return port
}

// on is the same service at a port of the host.
func on(address string, port int) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return u.String()
}

// listenToo makes etcd listen for clients on all of the guest's links: the
// host's come by the control link. What it advertises stays its own address.
func listenToo(args []string, clientURL string) []string {
	u, err := url.Parse(clientURL)
	if err != nil {
		return args
	}
	u.Host = net.JoinHostPort("0.0.0.0", u.Port())
	for i, a := range args {
		if strings.HasPrefix(a, "--listen-client-urls=") && a == "--listen-client-urls="+clientURL {
			args[i] = "--listen-client-urls=" + u.String()
		}
	}
	return args
}

// hostOf is a URL's host:port.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
