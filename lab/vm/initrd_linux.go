package vm

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"github.com/etcdlab/etcdlab/images/guest"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/etcd"
)

// guestTLS is where a member's certificate for etcd is in the guest.
func guestTLS(member string) *lab.TLSFiles {
	dir := guest.MemberDir + "/tls/"
	return &lab.TLSFiles{CA: dir + "ca.crt", Cert: dir + member + ".crt", Key: dir + member + ".key"}
}

// guestConfig is what the agent in the guest is started with.
func (b *build) guestConfig(mm lab.ManifestMember) agent.Config {
	c := agent.Config{
		Lab: b.m.Name, Member: mm.Name, Self: []string{guest.AgentBin, "agent"}, StateDir: guestState,
		Listen: net.JoinHostPort(guestIP, strconv.Itoa(agentPort)),
		TLS: &lab.TLSFiles{
			CA:   guest.MemberDir + "/tls/ca.crt",
			Cert: guest.MemberDir + "/tls/" + lab.AgentName(mm.Name) + ".crt",
			Key:  guest.MemberDir + "/tls/" + lab.AgentName(mm.Name) + ".key",
		},
		Disk: b.m.Spec.Disk, DataDir: mm.DataDir, LogFile: guestLog,
		Etcd: guestEtcd, Tools: guest.BinDir, ClientURL: on(mm.PeerURL, etcd.ClientPort), Version: mm.Binaries.Version,
		PeerURL: mm.PeerURL, Args: mm.Args, Env: mm.Env,
	}
	if c.Disk.Kind != "dm" {
		c.Disk.Kind = agent.KindDevice
	}
	if b.m.Spec.TLS {
		c.ClientTLS = guestTLS(mm.Name)
	}
	return c
}

// writeInitrd writes the shared initrd with the member's own files after it.
func (b *build) writeInitrd(i int) error {
	mm := b.m.Members[i]
	files, err := b.guestFiles(i)
	if err != nil {
		return err
	}
	in, err := os.Open(mm.Binaries.Guest.Initrd)
	if err != nil {
		return fmt.Errorf("write its initrd: %w", err)
	}
	defer in.Close()
	path := filepath.Join(mm.StateDir, initrdFile)
	out, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write its initrd: %w", err)
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = guest.WriteArchive(out, files)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("write its initrd: %w", err)
	}
	return nil
}

// guestFiles are the member's own files in the guest.
func (b *build) guestFiles(i int) ([]guest.Entry, error) {
	mm := b.m.Members[i]
	subnet, err := netip.ParsePrefix(b.m.Subnet)
	if err != nil {
		return nil, fmt.Errorf("read the manifest of lab %s: %w", b.m.Name, err)
	}
	mac, err := macOf(mm.IP)
	if err != nil {
		return nil, err
	}
	g := agent.Guest{
		Hostname: mm.Name,
		Links: []agent.GuestLink{
			{MAC: controlMAC, Name: "eth0", Address: guestAddress},
			{MAC: mac.String(), Name: "eth1", Address: fmt.Sprintf("%s/%d", mm.IP, subnet.Bits())},
		},
		Hosts: map[string]string{},
		Seed:  make([]byte, 64),
	}
	for _, other := range b.m.Members {
		g.Hosts[other.Name] = other.IP
	}
	if _, err := rand.Read(g.Seed); err != nil {
		return nil, err
	}
	if b.m.Spec.Disk.FS != "ext4" {
		g.Modules = append(g.Modules, b.m.Spec.Disk.FS)
	}
	if b.m.Spec.Disk.FS == "" {
		g.Modules = nil
	}
	machine, err := g.Encode()
	if err != nil {
		return nil, err
	}
	c := b.guestConfig(mm)
	config, err := c.Encode()
	if err != nil {
		return nil, err
	}
	dir := guest.MemberDir[1:]
	files := []guest.Entry{
		{Name: dir + "/" + agent.GuestFile, Mode: 0o600, Data: machine},
		{Name: dir + "/" + agent.ConfigFile, Mode: 0o600, Data: config},
		{Name: guestState[1:], Mode: fs.ModeDir | 0o700},
	}
	tls := filepath.Join(b.m.StateDir, tlsDir)
	want := []string{"ca.crt", "members/" + lab.AgentName(mm.Name) + ".crt", "members/" + lab.AgentName(mm.Name) + ".key"}
	if b.m.Spec.TLS {
		want = append(want, "members/"+mm.Name+".crt", "members/"+mm.Name+".key")
	}
	for _, name := range want {
		data, err := os.ReadFile(filepath.Join(tls, name))
		if err != nil {
			return nil, fmt.Errorf("read a certificate: %w", err)
		}
		files = append(files, guest.Entry{Name: dir + "/tls/" + filepath.Base(name), Mode: 0o600, Data: bytes.Clone(data)})
	}
	return files, nil
}
