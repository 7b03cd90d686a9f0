package docker

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/etcd"
)

// What is where in the images.
const (
	agentBinary = "/usr/bin/etcdlab"
	etcdBinary  = "/usr/bin/etcd"
)

// Directories of certificates in a lab's local directory.
const (
	agentTLS = "agents" // of the authority that agents obey
	etcdTLS  = "etcd"   // of the members', for a lab with tls
)

// clientFiles are where Authority.Issue puts a client's.
func clientFiles(dir, name string) *lab.TLSFiles {
	return &lab.TLSFiles{CA: filepath.Join(dir, "ca.crt"), Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
}

// etcd is the member's etcd, for its command line.
func (m *member) etcd() *etcd.Member {
	e := &etcd.Member{
		Lab: m.lab, Name: m.name, IP: m.addr.etcd(m.index).String(),
		DataDir: agent.DataDir(m.spec.Disk.Kind, m.paths.dir, m.paths.state),
		Version: m.binaries.Version, Args: m.spec.EtcdFor(m.name).Args,
	}
	if m.spec.TLS {
		e.TLS = m.inside("etcd")
	}
	for i, other := range m.spec.Members {
		e.Peers = append(e.Peers, etcd.Peer{Name: other.Name, IP: m.addr.etcd(i).String()})
	}
	return e
}

// inside are the paths of a certificate in the container.
func (m *member) inside(what string) *lab.TLSFiles {
	dir := path.Join(m.paths.tls, what)
	return &lab.TLSFiles{CA: dir + "/ca.crt", Cert: dir + "/member.crt", Key: dir + "/member.key"}
}

// agentConfig is what the member's agent is started with.
func (m *member) agentConfig() *agent.Config {
	e := m.etcd()
	own := m.spec.EtcdFor(m.name)
	c := &agent.Config{
		Lab: m.lab, Member: m.name, Self: []string{agentBinary, "agent"}, StateDir: m.paths.state,
		Listen: fmt.Sprintf("0.0.0.0:%d", portAgent), TLS: m.inside("agent"),
		Forward: []agent.Forward{{Listen: fmt.Sprintf("0.0.0.0:%d", portClient), To: fmt.Sprintf("%s:%d", e.IP, etcd.ClientPort)}},
		Disk:    m.spec.Disk, Format: m.spec.Disk.Kind == "fault", DataDir: e.DataDir, LogFile: path.Join(m.paths.state, "etcd.log"),
		Etcd: etcdBinary, Tools: path.Dir(etcdBinary), ClientURL: e.ClientURL(), Version: e.Version, PeerURL: e.PeerURL(), Args: etcd.Args(e),
		Env: []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin"},
	}
	if m.spec.TLS {
		c.ClientTLS = m.inside("etcd") // good for both sides
	}
	if m.addr.inside {
		c.NetNS, c.Port = "etcd", "etcd" // in the container's own namespaces
		c.Inside = &agent.Inside{Link: "eth0", Address: fmt.Sprintf("%s/%d", e.IP, m.addr.subnet.Bits())}
		for i := range m.addr.n {
			c.Inside.Peers = append(c.Inside.Peers, m.addr.etcd(i).String())
		}
	}
	if failpoints(own) {
		c.Forward = append(c.Forward, agent.Forward{Listen: fmt.Sprintf("0.0.0.0:%d", portFailpoints), To: fmt.Sprintf("%s:%d", e.IP, etcd.FailpointPort)})
		c.Env = append(c.Env, fmt.Sprintf("GOFAIL_HTTP=%s:%d", e.IP, etcd.FailpointPort))
	}
	for k, v := range own.Env {
		c.Env = append(c.Env, k+"="+v)
	}
	return c
}

// certificates makes those of agents and, with tls, of etcds: for each member
// the files in its container. They are nowhere else; the controller's own stay
// in dir.
func certificates(dir string, all []*member) (of map[string]map[string][]byte, err error) {
	of = map[string]map[string][]byte{}
	for _, m := range all {
		of[m.name] = map[string][]byte{}
	}
	err = issue(filepath.Join(dir, agentTLS), all, "agent", of,
		func(a *lab.Authority, dir string) (*lab.TLSFiles, error) { return a.IssueController(dir) },
		func(a *lab.Authority, dir string, m *member) (*lab.TLSFiles, error) { return a.IssueAgent(dir, m.name) })
	if err != nil || !all[0].spec.TLS {
		return of, err
	}
	return of, issue(filepath.Join(dir, etcdTLS), all, "etcd", of,
		func(a *lab.Authority, dir string) (*lab.TLSFiles, error) { return a.Issue(dir, "client") },
		func(a *lab.Authority, dir string, m *member) (*lab.TLSFiles, error) {
			// Through the published ports members are on the loopback.
			return a.Issue(dir, m.name, m.addr.etcd(m.index).AsSlice(), net.IPv4(127, 0, 0, 1))
		})
}

// issue makes an authority in dir with a certificate of ours and one of each
// member's, which is read into of under its path in the container.
func issue(dir string, all []*member, kind string, of map[string]map[string][]byte,
	own func(*lab.Authority, string) (*lab.TLSFiles, error), theirs func(*lab.Authority, string, *member) (*lab.TLSFiles, error)) error {
	temp := filepath.Join(dir, "members")
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return fmt.Errorf("make the directory of certificates: %w", err)
	}
	defer os.RemoveAll(temp)
	authority, err := lab.NewAuthority(all[0].lab, dir)
	if err != nil {
		return err
	}
	if _, err := own(authority, dir); err != nil {
		return err
	}
	for _, m := range all {
		f, err := theirs(authority, temp, m)
		if err != nil {
			return err
		}
		to := m.inside(kind)
		for from, to := range map[string]string{f.CA: to.CA, f.Cert: to.Cert, f.Key: to.Key} {
			if of[m.name][to], err = os.ReadFile(from); err != nil {
				return fmt.Errorf("read a certificate of %s: %w", m.name, err)
			}
		}
	}
	return nil
}

// archive is the tar that fills a member's volume before its first start.
func (m *member) archive(files map[string][]byte) ([]byte, error) {
	config, err := json.MarshalIndent(m.agentConfig(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the configuration of the agent of %s: %w", m.name, err)
	}
	var out bytes.Buffer
	t := tar.NewWriter(&out)
	dirs := map[string]bool{}
	put := func(file string, data []byte) error {
		name := strings.TrimPrefix(file, m.paths.volume+"/")
		for i, c := range name {
			if c != '/' || dirs[name[:i]] {
				continue
			}
			dirs[name[:i]] = true
			if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name[:i] + "/", Mode: 0o700}); err != nil {
				return err
			}
		}
		if data == nil {
			return nil
		}
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err := t.Write(data)
		return err
	}
	for file, data := range files {
		if err := put(file, data); err != nil {
			return nil, fmt.Errorf("pack the files of %s: %w", m.name, err)
		}
	}
	if err := put(path.Join(m.paths.dir, "agent.json"), config); err != nil {
		return nil, fmt.Errorf("pack the files of %s: %w", m.name, err)
	}
	if err := put(m.paths.state+"/", nil); err != nil {
		return nil, fmt.Errorf("pack the files of %s: %w", m.name, err)
	}
	if err := t.Close(); err != nil {
		return nil, fmt.Errorf("pack the files of %s: %w", m.name, err)
	}
	return out.Bytes(), nil
}
