package agent

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/internal/freeport"
	"github.com/etcdlab/etcdlab/lab"
)

// labTLS is a lab's authority with what it issued.
type labTLS struct {
	dir                                   string
	agent, other, controller, etcd, plain *lab.TLSFiles
}

func newLabTLS(t *testing.T) *labTLS {
	t.Helper()
	l := &labTLS{dir: t.TempDir()}
	a, err := lab.NewAuthority("demo", l.dir)
	must(t, err)
	issue := func(f *lab.TLSFiles, err error) *lab.TLSFiles { must(t, err); return f }
	l.agent = issue(a.IssueAgent(l.dir, "m1", "127.0.0.1", "localhost"))
	l.other = issue(a.IssueAgent(l.dir, "m2"))
	l.controller = issue(a.IssueController(l.dir))
	l.etcd = issue(a.Issue(l.dir, "m1", net.IPv4(127, 0, 0, 1)))
	l.plain = issue(a.Issue(l.dir, "client"))
	return l
}

// expired signs a controller's certificate that is over with an authority of its
// own, which the agent is made to trust.
func expired(t *testing.T) (agent, controller *lab.TLSFiles) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return file
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab demo"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	must(t, err)
	caFile := write("ca.crt", "CERTIFICATE", caDER)
	sign := func(name string, c *x509.Certificate) *lab.TLSFiles {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		der, err := x509.CreateCertificate(rand.Reader, c, ca, key.Public(), caKey)
		must(t, err)
		pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
		must(t, err)
		return &lab.TLSFiles{CA: caFile, Cert: write(name+".crt", "CERTIFICATE", der), Key: write(name+".key", "PRIVATE KEY", pkcs8)}
	}
	agent = sign("agent", &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{lab.AgentName("m1")}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	controller = sign("controller", &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{OrganizationalUnit: []string{lab.ControllerUnit}}, NotBefore: ca.NotBefore, NotAfter: now.Add(-time.Minute),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return agent, controller
}

func TestMutualTLS(t *testing.T) {
	ours, theirs := newLabTLS(t), newLabTLS(t)
	oldAgent, old := expired(t)
	open := *ours.controller
	open.Key = filepath.Join(t.TempDir(), "open.key")
	data, err := os.ReadFile(ours.controller.Key)
	must(t, err)
	must(t, os.WriteFile(open.Key, data, 0o644))
	foreign := *theirs.controller
	foreign.CA = ours.controller.CA // it knows us; we do not know it
	for _, c := range []struct {
		name          string
		agent, client *lab.TLSFiles
		want          string
	}{
		{"the controller", ours.agent, ours.controller, ""},
		{"a member's etcd", ours.agent, ours.etcd, "bad certificate"},
		{"a client of etcd", ours.agent, ours.plain, "bad certificate"},
		{"an agent", ours.agent, ours.agent, "bad certificate"},
		{"another lab's controller", ours.agent, &foreign, "unknown certificate authority"},
		{"another lab's agent", theirs.agent, ours.controller, "unknown authority"},
		{"another member's agent", ours.other, ours.controller, "agent.m2, not agent.m1"},
		{"an etcd in the agent's place", ours.etcd, ours.controller, "not agent.m1"},
		{"an expired certificate", oldAgent, old, "expired certificate"},
		{"no certificate", ours.agent, nil, "no certificate"},
		{"a key for everybody", ours.agent, &open, "chmod 600"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "agent")
			must(t, err)
			defer os.RemoveAll(dir)
			address := freeport.Address(t)
			f := &fake{}
			serveAt(t, f, dir, address, c.agent)
			client := NewClient("m1", At{Address: address, TLS: c.client}, nil)
			defer client.Close()
			says := func(err error) bool {
				return strings.Contains(strings.ReplaceAll(err.Error(), "not valid for any names, but wanted to match", "not"), c.want)
			}
			err = client.Start(context.Background())
			// With TLS 1.3 a client sends before it is refused, and may find
			// its connection closed or reset before it has read why.
			for end := time.Now().Add(30 * time.Second); c.want != "" && err != nil && !says(err) && time.Now().Before(end); {
				err = client.Start(context.Background())
			}
			switch {
			case c.want == "" && (err != nil || f.said() != "start"):
				t.Errorf("refused: %v %s", err, f.said())
			case c.want != "" && (err == nil || !says(err) || f.said() != ""):
				t.Errorf("got %v (%s), want %q", err, f.said(), c.want)
			}
		})
	}
}

// What is not our client: without a certificate, with an older TLS, without TLS.
func TestStrangersAreRefused(t *testing.T) {
	ours := newLabTLS(t)
	dir, err := os.MkdirTemp("", "agent")
	must(t, err)
	defer os.RemoveAll(dir)
	address := freeport.Address(t)
	serveAt(t, &fake{}, dir, address, ours.agent)
	pair, err := tls.LoadX509KeyPair(ours.controller.Cert, ours.controller.Key)
	must(t, err)
	for name, config := range map[string]*tls.Config{
		"no certificate": {},
		"TLS 1.2":        {MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}},
	} {
		config.InsecureSkipVerify = true
		transport := &http.Transport{TLSClientConfig: config}
		answer, err := (&http.Client{Transport: transport}).Get(fmt.Sprintf("https://%s/v1/status", address))
		if err == nil {
			answer.Body.Close()
			t.Errorf("%s: %s", name, answer.Status)
		}
		transport.CloseIdleConnections()
	}
	answer, err := http.Get(fmt.Sprintf("http://%s/v1/status", address))
	if err == nil {
		answer.Body.Close()
		if answer.StatusCode != http.StatusBadRequest {
			t.Errorf("without TLS: %s", answer.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := ServeHost(context.Background(), dir, address, nil, &fake{}, func(error) {}); err == nil || !strings.Contains(err.Error(), "mutual TLS only") {
		t.Errorf("served without a certificate: %v", err)
	}
}
