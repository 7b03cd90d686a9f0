package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

// transport dials the agent. Over TLS it wants the agent of this very member:
// a published port that has passed to another is refused.
func (at At) transport(member string) http.RoundTripper {
	t := &http.Transport{MaxIdleConns: 4, IdleConnTimeout: 30 * time.Second}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if at.Address == "" {
		socket := Socket(at.Dir)
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		}
		return t
	}
	t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		if at.TLS == nil {
			return nil, errors.New("no certificate for agents was given")
		}
		config, err := loadTLS(at.TLS)
		if err != nil {
			return nil, err
		}
		config.ServerName = lab.AgentName(member)
		return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", at.Address)
	}
	return t
}

// listenTLS listens where only the lab's controller is let in.
func listenTLS(ctx context.Context, address string, files *lab.TLSFiles) (net.Listener, error) {
	if files == nil {
		return nil, fmt.Errorf("listen on %s: an agent answers there with mutual TLS only, and no certificate was given", address)
	}
	config, err := loadTLS(files)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	config.ClientCAs, config.ClientAuth = config.RootCAs, tls.RequireAndVerifyClientCert
	config.VerifyConnection = func(s tls.ConnectionState) error {
		// The authority signs etcd's certificates, too.
		if !slices.Contains(s.PeerCertificates[0].Subject.OrganizationalUnit, lab.ControllerUnit) {
			return fmt.Errorf("the certificate of %s is not the controller's", s.PeerCertificates[0].Subject.CommonName)
		}
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(l, config), nil
}

// loadTLS loads what both sides need.
func loadTLS(files *lab.TLSFiles) (*tls.Config, error) {
	st, err := os.Stat(files.Key)
	if err != nil {
		return nil, fmt.Errorf("load a key for agents: %w", err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("load a key for agents: others may read %s (mode %v): chmod 600 it", files.Key, st.Mode().Perm())
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, fmt.Errorf("load a certificate for agents: %w", err)
	}
	ca, err := os.ReadFile(files.CA)
	if err != nil {
		return nil, fmt.Errorf("load the lab's authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("load the lab's authority: no certificate in %s", files.CA)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, RootCAs: pool}, nil
}
