//go:build linux

package process

import (
	"github.com/etcdlab/etcdlab/internal/netns"
	"net/netip"
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ subnet, host, first, ninth string }{
		{"198.18.7.0/24", "198.18.7.1", "198.18.7.11", "198.18.7.19"},
		{"198.18.7.64/26", "198.18.7.65", "198.18.7.75", "198.18.7.83"},
		{"198.18.7.240/28", "198.18.7.241", "198.18.7.242", "198.18.7.250"},
	} {
		n := network{subnet: netip.MustParsePrefix(c.subnet)}
		if n.host().String() != c.host || n.member(0).String() != c.first || n.member(8).String() != c.ninth {
			t.Errorf("%s: %s %s %s", c.subnet, n.host(), n.member(0), n.member(8))
		}
		if !n.subnet.Contains(n.member(8)) {
			t.Errorf("%s does not hold %s", c.subnet, n.member(8))
		}
	}
	if a, b := netns.MAC(netip.MustParseAddr("198.18.7.1")), netns.MAC(netip.MustParseAddr("198.18.7.2")); a.String() == b.String() || a[0]&3 != 2 {
		t.Errorf("MACs %s and %s: want two, unicast and locally administered", a, b)
	}
}

func TestChooseSubnet(t *testing.T) {
	a, err := chooseSubnet("some-lab", "")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := chooseSubnet("some-lab", ""); again != a {
		t.Errorf("%s became %s", a, again)
	}
	if !pool.Overlaps(a) || a.Bits() != 24 {
		t.Errorf("chose %s", a)
	}
	if p, err := chooseSubnet("x", "198.19.255.77/28"); err != nil || p.String() != "198.19.255.64/28" {
		t.Errorf("%s %v", p, err)
	}
	for _, bad := range []string{"x", "fd00::/64", "198.18.0.0/29", "198.18.0.0"} {
		if _, err := chooseSubnet("x", bad); err == nil {
			t.Errorf("%s is allowed", bad)
		}
	}
	if _, err := chooseSubnet("x", "127.0.0.0/16"); err == nil || !strings.Contains(err.Error(), "in use by interface lo") {
		t.Errorf("the loopback's: %v", err)
	}
}
