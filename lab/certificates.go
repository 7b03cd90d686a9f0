package lab

import (
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
	"os"
	"path/filepath"
	"time"
)

// TLSFiles are paths of PEM files, 0600.
type TLSFiles struct {
	CA   string `json:"ca"`
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

// lifetime of a lab's certificates: longer than any soak.
const lifetime = 5 * 365 * 24 * time.Hour

// Authority signs a lab's certificates: one for each member, which is both
// server and client among peers, and one for clients.
type Authority struct {
	lab  string
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes the lab's own certificate authority and writes its
// certificate to dir. Its key is kept in memory only: nothing else is ever to
// be signed for this lab.
func NewAuthority(lab, dir string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority of lab %s: %w", lab, err)
	}
	t, err := template(pkix.Name{Organization: []string{"etcdlab"}, CommonName: "lab " + lab})
	if err != nil {
		return nil, err
	}
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the authority of lab %s: %w", lab, err)
	}
	a := &Authority{lab: lab, key: key, file: filepath.Join(dir, "ca.crt")}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("make the authority of lab %s: %w", lab, err)
	}
	return a, writePEM(a.file, "CERTIFICATE", der)
}

// ControllerUnit is the organizational unit in the controller's certificate, by
// which agents know whom they obey. No certificate of an etcd has it.
const ControllerUnit = "etcdlab controller"

// AgentName is the DNS name in the certificate of a member's agent.
func AgentName(member string) string { return "agent." + member }

// Issue writes a certificate and key called name to dir: for a member with its
// addresses, or without any for a client.
func (a *Authority) Issue(dir, name string, ips ...net.IP) (*TLSFiles, error) {
	var names []string
	if len(ips) > 0 {
		names = []string{name}
	}
	for _, ip := range ips {
		names = append(names, ip.String())
	}
	return a.issue(dir, name, nil, names, true)
}

// IssueController writes the certificate with which the controller drives
// agents.
func (a *Authority) IssueController(dir string) (*TLSFiles, error) {
	return a.issue(dir, "controller", []string{ControllerUnit}, nil, true)
}

// IssueAgent writes the certificate of a member's agent, for AgentName and for
// more names or addresses.
func (a *Authority) IssueAgent(dir, member string, more ...string) (*TLSFiles, error) {
	return a.issue(dir, AgentName(member), nil, append([]string{AgentName(member)}, more...), false)
}

// issue writes a certificate: for servers at the names, if there are any, and
// for clients where it says so or there are none.
func (a *Authority) issue(dir, name string, unit, names []string, client bool) (*TLSFiles, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of %s: %w", name, err)
	}
	t, err := template(pkix.Name{Organization: []string{"etcdlab"}, OrganizationalUnit: unit, CommonName: name})
	if err != nil {
		return nil, err
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	if client {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	if len(names) > 0 {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of %s: %w", name, err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make the key of %s: %w", name, err)
	}
	f := &TLSFiles{CA: a.file, Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
	if err := writePEM(f.Cert, "CERTIFICATE", der); err != nil {
		return nil, err
	}
	return f, writePEM(f.Key, "PRIVATE KEY", pkcs8)
}

// ClientTLS is what a client of the lab's members needs; nil without TLS.
func (l *Lab) ClientTLS() (*tls.Config, error) {
	if l.TLS == nil {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(l.TLS.Cert, l.TLS.Key)
	if err != nil {
		return nil, fmt.Errorf("load the client certificate of lab %s: %w", l.Name, err)
	}
	ca, err := os.ReadFile(l.TLS.CA)
	if err != nil {
		return nil, fmt.Errorf("load the authority of lab %s: %w", l.Name, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("load the authority of lab %s: no certificate in %s", l.Name, l.TLS.CA)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, RootCAs: pool}, nil
}

func template(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		// A clock that is set back a little must not make a lab refuse itself.
		NotBefore: now.Add(-24 * time.Hour),
		NotAfter:  now.Add(lifetime),
	}, nil
}

func writePEM(file, kind string, der []byte) error {
	data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
