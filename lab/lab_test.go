package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/lab/spec"
)

func TestNames(t *testing.T) {
	for _, good := range []string{"a", "a-b", "0", strings.Repeat("x", 32), "a--b"} {
		if err := CheckName("lab", good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "-a", "a-", "A", "a.b", "a/b", "..", strings.Repeat("x", 33), "a\n"} {
		if CheckName("lab", bad) == nil {
			t.Errorf("%q is allowed", bad)
		}
	}
}

func TestNetNSIsUnambiguous(t *testing.T) {
	seen := map[string][2]string{}
	for _, c := range [][2]string{{"a", ""}, {"a", "b"}, {"a-b", ""}, {"a-b", "b"}, {"a", "b-b"}} {
		ns := NetNS(c[0], c[1])
		if other, ok := seen[ns]; ok {
			t.Errorf("%v and %v are both %s", c, other, ns)
		}
		seen[ns] = c
		lab, member, ok := ParseNetNS(ns)
		if !ok || lab != c[0] || member != c[1] {
			t.Errorf("%s is read as %q %q %v", ns, lab, member, ok)
		}
	}
	for _, foreign := range []string{"", "etcdlab-", "etcdlab-a.", "etcdlab-a.b.c", "cni-1", "etcdlab-A"} {
		if lab, member, ok := ParseNetNS(foreign); ok {
			t.Errorf("%q is read as %q %q", foreign, lab, member)
		}
	}
}

func FuzzParseNetNS(f *testing.F) {
	f.Add("etcdlab-a.b")
	f.Fuzz(func(t *testing.T, ns string) {
		if lab, member, ok := ParseNetNS(ns); ok && NetNS(lab, member) != ns {
			t.Errorf("%q becomes %q", ns, NetNS(lab, member))
		}
	})
}

func TestHostLink(t *testing.T) {
	if l := HostLink(strings.Repeat("x", 32)); len(l) > 15 || l == HostLink("x") {
		t.Errorf("%s", l)
	}
	if l, ok := ParseLinkAlias(LinkAlias("a-b")); !ok || l != "a-b" {
		t.Error(l, ok)
	}
	if _, ok := ParseLinkAlias("uplink"); ok {
		t.Error("a foreign alias is ours")
	}
}

func TestManifest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	if _, err := ReadManifest(dir); !errors.Is(err, ErrNotFound) {
		t.Errorf("of nothing: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	yes := true
	m := &Manifest{Name: "demo", Provider: "process", Spec: &spec.Lab{Name: "demo", Etcd: spec.Etcd{Failpoints: &yes}, Disk: spec.Disk{Size: 1 << 30}}}
	if err := m.Write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := ReadManifest(dir)
	if err != nil || got.Spec.Disk.Size != 1<<30 || !*got.Spec.Etcd.Failpoints {
		t.Errorf("%+v %v", got, err)
	}
	for name, content := range map[string]string{"torn": `{"name":"de`, "foreign": `{"name":"other","spec":{}}`, "empty": `{}`} {
		if err := os.WriteFile(filepath.Join(dir, manifestFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadManifest(dir); err == nil || !strings.Contains(err.Error(), "etcdlab down") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	a, err := NewAuthority("demo", dir)
	if err != nil {
		t.Fatal(err)
	}
	server, err := a.Issue(dir, "m1", net.IPv4(127, 0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	client, err := a.Issue(dir, "client")
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(dir + "/*")
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f, st.Mode())
		}
	}
	pair, err := tls.LoadX509KeyPair(server.Cert, server.Key)
	if err != nil {
		t.Fatal(err)
	}
	own, err := (&Lab{Name: "demo", TLS: client}).ClientTLS()
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: own.RootCAs, ClientAuth: tls.RequireAndVerifyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 2)
	go func() {
		for range 2 {
			c, err := l.Accept()
			if err == nil {
				err = c.(*tls.Conn).Handshake()
				c.Close()
			}
			served <- err
		}
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), own)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
	// Without a certificate of the lab's nobody gets in.
	if c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: own.RootCAs}); err == nil {
		c.Close()
	}
	if err := <-served; err == nil {
		t.Error("a client without a certificate was let in")
	}
	if config, err := (&Lab{}).ClientTLS(); config != nil || err != nil {
		t.Errorf("without TLS: %v %v", config, err)
	}
}

func TestLock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sub", "lock")
	unlock, err := LockFile(context.Background(), file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if _, err := LockFile(ctx, file); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("locked twice: %v", err)
	}
	// The holder removes the file, as down does: the next one to lock must
	// hold what is there now.
	got := make(chan error, 1)
	go func() {
		again, err := LockFile(context.Background(), file)
		if err == nil {
			_, err = os.Stat(file)
			again()
		}
		got <- err
	}()
	if err := os.RemoveAll(filepath.Dir(file)); err != nil {
		t.Fatal(err)
	}
	unlock()
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestStateRoot(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/x")
	if dir, err := StateRoot(); err != nil || dir != "/x/etcdlab/labs" {
		t.Error(dir, err)
	}
	t.Setenv("XDG_STATE_HOME", "x")
	if _, err := StateRoot(); err == nil {
		t.Error("a relative directory is allowed")
	}
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("HOME", "/h")
	if dir, err := StateRoot(); err != nil || dir != "/h/.local/state/etcdlab/labs" {
		t.Error(dir, err)
	}
}

type plainMember struct{ Member }

func (plainMember) Name() string { return "m1" }

type lackingMember struct {
	plainMember
	Runner
}

func (lackingMember) Lacks(capability string) string { return "no " + capability + " today" }

func TestCan(t *testing.T) {
	var no *UnsupportedError
	if _, err := Can[Runner](plainMember{}); !errors.As(err, &no) || no.Capability != "Runner" {
		t.Error(err)
	}
	if _, err := Can[Runner](lackingMember{}); !errors.As(err, &no) || no.Reason != "no Runner today" {
		t.Error(err)
	}
}
