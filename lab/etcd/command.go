// Package etcd owns etcd's command line: which flags a member of a lab gets in
// each release, and how the user's go on top.
package etcd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/etcdlab/etcdlab/lab"
)

// Ports of every member; each has an address of its own.
const (
	ClientPort    = 2379
	PeerPort      = 2380
	FailpointPort = 22381
)

// Member is what the command line of one member depends on.
type Member struct {
	Lab     string
	Name    string
	IP      string
	DataDir string
	Version string            // v3.5.4; one that is no version counts as the newest
	Peers   []Peer            // all members, this one too
	TLS     *lab.TLSFiles     // nil is without
	Args    map[string]string // the user's
}

// Peer is a member of the initial cluster.
type Peer struct{ Name, IP string }

// ClientURL is where clients reach the member.
func (m *Member) ClientURL() string { return url(m.IP, ClientPort, m.TLS != nil) }

// PeerURL is where other members reach the member.
func (m *Member) PeerURL() string { return url(m.IP, PeerPort, m.TLS != nil) }

// FailpointURL is gofail's endpoint.
func (m *Member) FailpointURL() string { return url(m.IP, FailpointPort, false) }

// Args is etcd's command line without the program. The user's flags come last
// and in order of name, so that they win and the line is the same each time.
func Args(m *Member) []string {
	var cluster []string
	for _, p := range m.Peers {
		cluster = append(cluster, p.Name+"="+url(p.IP, PeerPort, m.TLS != nil))
	}
	args := []string{
		"--name=" + m.Name,
		"--data-dir=" + m.DataDir,
		"--listen-client-urls=" + m.ClientURL(),
		"--advertise-client-urls=" + m.ClientURL(),
		"--listen-peer-urls=" + m.PeerURL(),
		"--initial-advertise-peer-urls=" + m.PeerURL(),
		"--initial-cluster=" + strings.Join(cluster, ","),
		"--initial-cluster-state=new",
		"--initial-cluster-token=etcdlab-" + m.Lab,
		"--logger=zap",
		"--log-outputs=stderr",
	}
	if t := m.TLS; t != nil {
		for _, side := range []string{"", "peer-"} {
			args = append(args,
				"--"+side+"cert-file="+t.Cert,
				"--"+side+"key-file="+t.Key,
				"--"+side+"trusted-ca-file="+t.CA,
				"--"+side+"client-cert-auth=true")
		}
	}
	own := maps.Clone(m.Args)
	if own == nil {
		own = map[string]string{}
	}
	checks(m.Version, own)
	for _, name := range slices.Sorted(maps.Keys(own)) {
		args = append(args, "--"+name+"="+own[name])
	}
	return args
}

// corruptionCheckEvery is how often the leader compares its hash with those of
// the other members.
const corruptionCheckEvery = "5s"

// checks turns etcd's own corruption checks on, where the release has them and
// the user did not say otherwise: periodically against the peers, and from
// 3.5.5 on against compaction hashes, a feature gate from 3.6 on. Not the check
// at start: it waits 5 s for each peer that does not answer, and after a power
// loss of all members they wait for one another: 11.5 s measured with 3 members
// of v3.7.3, against 0.5 s without.
func checks(version string, args map[string]string) {
	if semver.IsValid(version) && semver.Compare(version, "v3.6.0-alpha.0") < 0 {
		setDefault(args, "experimental-corrupt-check-time", corruptionCheckEvery)
		if semver.Compare(version, "v3.5.5") >= 0 {
			setDefault(args, "experimental-compact-hash-check-enabled", "true")
		}
		return
	}
	if _, old := args["experimental-corrupt-check-time"]; !old {
		setDefault(args, "corrupt-check-time", corruptionCheckEvery)
	}
	_, byFlag := args["experimental-compact-hash-check-enabled"] // 3.6 still has the flag, and refuses both
	gates := args["feature-gates"]
	if byFlag || strings.Contains(","+gates, ",CompactHashCheck=") {
		return
	}
	if gates != "" {
		gates += ","
	}
	args["feature-gates"] = gates + "CompactHashCheck=true"
}

func setDefault(m map[string]string, key, value string) {
	if _, ok := m[key]; !ok {
		m[key] = value
	}
}

func url(ip string, port int, secure bool) string {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s:%d", scheme, ip, port)
}
