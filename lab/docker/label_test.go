package docker

import (
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

func TestLabelsAndDiscovery(t *testing.T) {
	s := testSpec(func(s *spec.Lab) { s.Etcd.Args = map[string]string{"snapshot-count": "100"} })
	made := lab.Binaries{Key: "k", Version: "v3.7.3", Etcd: "/local", Container: &lab.ContainerImage{ID: "sha256:1"}}
	own := func(member string) map[string]string {
		l, err := labels(s, member, "172.30.7.0/24", "v0", made)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	foreign := map[string]string{labelLab: "Not/A-Name", labelMember: "m1"}
	net := own("")
	net[labelRole] = roleLab
	containers := []container.Summary{
		{ID: "c1", State: "running", Labels: own("m1"), Ports: []container.Port{{Type: "tcp", PrivatePort: portAgent, PublicPort: 32768, IP: "127.0.0.1"}, {Type: "tcp", PrivatePort: 1}}},
		{ID: "c2", State: "created", Labels: own("m2")},
		{ID: "c9", Labels: foreign},
		{ID: "c8", State: "created", Labels: map[string]string{labelLab: "half", labelSpec: `{"name":"other"}`}},
	}
	volumes := []*volume.Volume{{Name: "v1", Labels: own("m1")}, {Name: "v2", Labels: own("m2")}}
	labs := group(containers, []network.Summary{{ID: "n1", Labels: net}, {ID: "n2", Labels: foreign}}, volumes)
	if len(labs) != 2 || labs[0].name != "demo" || labs[1].name != "half" {
		t.Fatalf("%+v", labs)
	}
	f := labs[0]
	if d := lab.Difference(f.spec, f.made(), s, map[string]lab.Binaries{"m1": made, "m2": made}); d != "" {
		t.Errorf("read back as another:\n%s", d)
	}
	if f.subnet != "172.30.7.0/24" || f.network(roleLab) == nil || f.network(roleControl) != nil || !f.born() {
		t.Errorf("%+v", f)
	}
	if got := f.made()["m1"]; got.Etcd != "" || got.Container.ID != "sha256:1" {
		t.Errorf("made of %+v", got)
	}
	for _, want := range []string{"container of m2 is created", "volume of m3 is gone", "etcdlab up demo"} {
		if !strings.Contains(f.partial(), want) {
			t.Errorf("%q does not say %q", f.partial(), want)
		}
	}
	if labs[1].spec != nil || !labs[1].any() || labs[1].born() {
		t.Errorf("%+v", labs[1])
	}
	if p := hostPorts(containers[0]); len(p) != 1 || address(p, portAgent) != "127.0.0.1:32768" || address(p, portClient) != "127.0.0.1:0" {
		t.Errorf("%v", p)
	}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	l, err := new(Provider).opened(f)
	if err != nil || len(l.Members) != 3 || l.Partial == "" {
		t.Fatal(err)
	}
	defer closeAll(l)
	if c := l.Members[0].(*member).clientURL(); c != "http://127.0.0.1:0" {
		t.Error(c)
	}
}

func FuzzParseSpec(f *testing.F) {
	f.Add(`{"name":"demo","members":[{"name":"m1"}]}`, "demo")
	f.Add(`{"name":"demo","members":3}`, "demo")
	f.Fuzz(func(t *testing.T, data, name string) {
		if s := parseSpec(map[string]string{labelSpec: data, labelLab: name}); s != nil && (s.Name != name || len(s.Members) == 0) {
			t.Errorf("%+v", s)
		}
		_ = parseBinaries(map[string]string{labelBinaries: data})
	})
}

func TestNamesApart(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range []string{networkName("a"), controlName("a"), networkName("a-control"), containerName("a", "m1"), containerName("a-m1", "m1"), networkName("a-m1")} {
		if seen[n] {
			t.Errorf("%s twice", n)
		}
		seen[n] = true
	}
}
