package docker

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/network"

	"github.com/etcdlab/etcdlab/lab"
)

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		subnet string
		n      int
		inside bool
		fits   bool
	}{
		{"172.30.0.0/24", 9, true, true}, {"10.0.0.0/27", 9, true, true}, {"10.0.0.16/28", 6, true, true},
		{"10.0.0.16/28", 7, true, false}, {"10.0.0.16/28", 9, false, true}, {"10.0.0.0/28", 13, false, true}, {"10.0.0.0/28", 14, false, false},
	} {
		a := addresses{netip.MustParsePrefix(c.subnet), c.n, c.inside}
		if err := a.check(); (err == nil) != c.fits {
			t.Errorf("%+v: %v", c, err)
		}
		if !c.fits {
			continue
		}
		seen := map[netip.Addr]bool{a.gateway(): true}
		for i := range c.n {
			own := []netip.Addr{a.etcd(i)}
			if c.inside {
				own = append(own, a.container(i))
			} else if a.container(i) != a.etcd(i) {
				t.Errorf("%+v: %s is not %s", c, a.container(i), a.etcd(i))
			}
			for _, ip := range own {
				if seen[ip] || !a.subnet.Contains(ip) || !a.subnet.Contains(ip.Next()) || ip == a.subnet.Masked().Addr() {
					t.Errorf("%+v: member %d at %s", c, i, ip)
				}
				seen[ip] = true
			}
		}
		if aux := a.ipam([]string{"m1", "m2"}).Config[0].AuxAddress; c.inside && aux["etcd-m2"] != a.etcd(1).String() || !c.inside && aux != nil {
			t.Errorf("%+v: reserved %v", c, aux)
		}
	}
}

func TestCandidates(t *testing.T) {
	used := takenBy([]network.Summary{
		{Name: "bridge", IPAM: network.IPAM{Config: []network.IPAMConfig{{Subnet: "172.17.0.0/16"}}}},
		{Name: "own", IPAM: network.IPAM{Config: []network.IPAMConfig{{Subnet: "172.30.0.0/17"}, {Subnet: "fd00::/64"}}}},
		{Name: "x", Labels: map[string]string{labelLab: "other"}, IPAM: network.IPAM{Config: []network.IPAMConfig{{Subnet: "10.1.2.0/24"}}}},
		{Name: "host"},
	})
	all, err := candidates("demo", "", used)
	if err != nil || len(all) != 128+256 {
		t.Fatalf("%d candidates, %v", len(all), err)
	}
	again, _ := candidates("demo", "", used)
	if all[0] != again[0] || !netip.MustParsePrefix("172.30.128.0/17").Overlaps(all[0]) {
		t.Errorf("%s, then %s", all[0], again[0])
	}
	for wanted, want := range map[string]string{
		"172.30.1.0/24": "network own", "10.1.2.128/25": "lab other", "172.17.4.0/24": "network bridge", "10.9.9.0/24": "",
		"no": "want an IPv4 subnet", "fd01::/64": "want an IPv4 subnet", "10.0.0.0/30": "want an IPv4 subnet",
	} {
		got, err := candidates("demo", wanted, used)
		if want == "" {
			if err != nil || len(got) != 1 || got[0].String() != wanted {
				t.Errorf("%s: %v %v", wanted, got, err)
			}
			continue
		}
		var misuse *lab.UsageError
		if !errors.As(err, &misuse) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", wanted, err)
		}
	}
	all16 := []taken{{netip.MustParsePrefix("0.0.0.0/0"), "network all"}}
	if _, err := candidates("demo", "", all16); err == nil || !strings.Contains(err.Error(), "set network.subnet") {
		t.Errorf("without a free one: %v", err)
	}
}
