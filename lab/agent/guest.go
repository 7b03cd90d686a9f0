package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
)

// GuestFile is beside agent.json in the files of a virtual machine: what the
// agent, as its init, makes of the machine before it serves.
const GuestFile = "guest.json"

// Guest is a machine's own configuration.
type Guest struct {
	Hostname string            `json:"hostname"`
	Links    []GuestLink       `json:"links"`
	Hosts    map[string]string `json:"hosts,omitempty"`   // address of each name, for /etc/hosts
	Modules  []string          `json:"modules,omitempty"` // loaded at boot, beside those of every guest
	// Seed is random, from the host: a machine that just started has no
	// randomness of its own, and TLS would wait for it.
	Seed []byte `json:"seed,omitempty"`
}

// GuestLink is a network card, known by its hardware address.
type GuestLink struct {
	MAC     string `json:"mac"`
	Name    string `json:"name"`              // eth0
	Address string `json:"address"`           // CIDR
	Gateway string `json:"gateway,omitempty"` // of the default route
}

// Encode gives the file's contents.
func (g *Guest) Encode() ([]byte, error) {
	if err := g.check(); err != nil {
		return nil, fmt.Errorf("write %s: %w", GuestFile, err)
	}
	return json.Marshal(g)
}

func parseGuest(data []byte) (*Guest, error) {
	g := new(Guest)
	if err := Decode(data, g); err != nil {
		return nil, fmt.Errorf("read %s: %w", GuestFile, err)
	}
	if err := g.check(); err != nil {
		return nil, fmt.Errorf("read %s: %w", GuestFile, err)
	}
	return g, nil
}

var (
	hostnameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)
	linkForm     = regexp.MustCompile(`^[a-z][a-z0-9]{0,14}$`) // IFNAMSIZ, less the NUL
)

func (g *Guest) check() error {
	if !hostnameForm.MatchString(g.Hostname) {
		return fmt.Errorf("hostname %q is none", g.Hostname)
	}
	for _, l := range g.Links {
		if err := l.check(); err != nil {
			return fmt.Errorf("link %q: %w", l.Name, err)
		}
	}
	for name, address := range g.Hosts {
		if !hostnameForm.MatchString(name) {
			return fmt.Errorf("host %q is no name", name)
		}
		if _, err := netip.ParseAddr(address); err != nil {
			return fmt.Errorf("host %s: %w", name, err)
		}
	}
	return nil
}

func (l GuestLink) check() error {
	if !linkForm.MatchString(l.Name) {
		return errors.New("no name for a link")
	}
	if mac, err := net.ParseMAC(l.MAC); err != nil || len(mac) != 6 {
		return fmt.Errorf("hardware address %q is none", l.MAC)
	}
	if _, err := netip.ParsePrefix(l.Address); err != nil {
		return err
	}
	if l.Gateway == "" {
		return nil
	}
	_, err := netip.ParseAddr(l.Gateway)
	return err
}
