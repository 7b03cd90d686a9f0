package etcd

import (
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/lab"
)

func TestArgs(t *testing.T) {
	m := Member{
		Lab: "demo", Name: "m1", IP: "198.18.0.11", DataDir: "/d", Version: "v3.7.3",
		Peers: []Peer{{"m1", "198.18.0.11"}, {"m2", "198.18.0.12"}},
		Args:  map[string]string{"snapshot-count": "5", "election-timeout": "300"},
	}
	got := strings.Join(Args(&m), " ")
	for _, want := range []string{
		"--name=m1 ", "--initial-cluster=m1=http://198.18.0.11:2380,m2=http://198.18.0.12:2380 ",
		"--listen-client-urls=http://198.18.0.11:2379 ", "--election-timeout=300", "--snapshot-count=5",
		"--corrupt-check-time=5s", "--feature-gates=CompactHashCheck=true",
	} {
		if !strings.Contains(got+" ", want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if strings.Contains(got, "cert") || strings.Contains(got, "https") {
		t.Errorf("TLS: %s", got)
	}
	if again := strings.Join(Args(&m), " "); again != got {
		t.Error("not the same each time")
	}
	if _, changed := m.Args["feature-gates"]; changed {
		t.Error("the user's flags were changed")
	}
	m.TLS = &lab.TLSFiles{CA: "/ca", Cert: "/c", Key: "/k"}
	got = strings.Join(Args(&m), " ")
	for _, want := range []string{"--peer-client-cert-auth=true", "--client-cert-auth=true", "--trusted-ca-file=/ca", "=https://198.18.0.11:2380"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if m.FailpointURL() != "http://198.18.0.11:22381" {
		t.Error(m.FailpointURL())
	}
}

func TestChecks(t *testing.T) {
	const period, old, compact = "corrupt-check-time=5s", "experimental-corrupt-check-time=5s", "feature-gates=CompactHashCheck=true"
	for _, c := range []struct {
		version    string
		args, want string // as k=v, in order, with ; between
	}{
		{"v3.5.0", "", old},
		{"v3.5.4", "experimental-corrupt-check-time=0s", "experimental-corrupt-check-time=0s"},
		{"v3.5.5", "", "experimental-compact-hash-check-enabled=true;" + old},
		{"v3.6.0", "", period + ";" + compact},
		{"v3.6.4", "experimental-compact-hash-check-enabled=true", period + ";experimental-compact-hash-check-enabled=true"},
		{"v3.6.4", "experimental-corrupt-check-time=1s", "experimental-corrupt-check-time=1s;" + compact},
		{"v3.7.3", "feature-gates=CompactHashCheck=false", period + ";feature-gates=CompactHashCheck=false"},
		{"v3.7.3", "feature-gates=InitialCorruptCheck=true", period + ";feature-gates=InitialCorruptCheck=true,CompactHashCheck=true"},
		{"v3.8.0-alpha.0", "", period + ";" + compact},
		{"a local tree", "", period + ";" + compact},
	} {
		args := map[string]string{}
		if k, v, ok := strings.Cut(c.args, "="); ok {
			args[k] = v
		}
		checks(c.version, args)
		var got []string
		for k, v := range args {
			got = append(got, k+"="+v)
		}
		slices.Sort(got)
		if s := strings.Join(got, ";"); s != c.want {
			t.Errorf("%s with %q: got %s, want %s", c.version, c.args, s, c.want)
		}
	}
}
