package agent

import (
	"strings"
	"testing"
)

func TestGuestConfig(t *testing.T) {
	link := GuestLink{MAC: "52:54:00:00:00:01", Name: "eth0", Address: "10.0.2.15/24", Gateway: "10.0.2.2"}
	good := &Guest{Hostname: "m1", Links: []GuestLink{link}, Hosts: map[string]string{"m2": "198.18.0.12"}, Modules: []string{"xfs"}, Seed: []byte("seed")}
	text, err := good.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := parseGuest(text)
	if err != nil || back.Links[0] != link || string(back.Seed) != "seed" || back.Hosts["m2"] != "198.18.0.12" {
		t.Errorf("%+v, %v", back, err)
	}
	for want, change := range map[string]func(*Guest){
		`hostname "M 1" is none`:                  func(g *Guest) { g.Hostname = "M 1" },
		`link "eth0": hardware address "x"`:       func(g *Guest) { g.Links[0].MAC = "x" },
		`link "an interface": no name for a link`: func(g *Guest) { g.Links[0].Name = "an interface" },
		`link "eth0": netip.ParsePrefix`:          func(g *Guest) { g.Links[0].Address = "10.0.2.15" },
		`link "eth0": ParseAddr("gw")`:            func(g *Guest) { g.Links[0].Gateway = "gw" },
		`host m2: ParseAddr`:                      func(g *Guest) { g.Hosts["m2"] = "m3" },
		`host "m 2" is no name`:                   func(g *Guest) { g.Hosts["m 2"] = "10.0.0.1" },
	} {
		g, err := parseGuest(text)
		if err != nil {
			t.Fatal(err)
		}
		change(g)
		if _, err := g.Encode(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := parseGuest([]byte(`{"hostname":"m1","color":"red"}`)); err == nil || !strings.Contains(err.Error(), "color") {
		t.Errorf("got %v", err)
	}
}

func FuzzGuestConfig(f *testing.F) {
	f.Add([]byte(`{"hostname":"m1","links":[{"mac":"52:54:00:00:00:01","name":"eth0","address":"10.0.2.15/24"}],"seed":"AAAA"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := parseGuest(data)
		if err != nil {
			return
		}
		text, err := g.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseGuest(text); err != nil {
			t.Error(err)
		}
	})
}
