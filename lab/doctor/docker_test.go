package doctor

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve is an engine on a socket of its own, which DOCKER_HOST names.
func serve(t *testing.T, h http.HandlerFunc) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-ended })
	t.Setenv("DOCKER_HOST", "unix://"+socket)
}

func TestDocker(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		found   string
		err     string
	}{
		"engine": {
			func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/version" {
					http.NotFound(w, r)
				}
				w.Write([]byte(`{"Version":"28.5.2","ApiVersion":"1.51","Os":"linux","Arch":"arm64"}`))
			}, "28.5.2 (API 1.51, linux/arm64)", "",
		},
		"refuses":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, "", "answers 403 Forbidden"},
		"another tool": {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) }, "", "no Docker engine"},
		"silent":       {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "", "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, test.handler)
			limit := time.Minute
			if name == "silent" {
				limit = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			found, err := docker(ctx)
			switch {
			case found != test.found:
				t.Errorf("found %q, want %q", found, test.found)
			case (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err):
				t.Errorf("error %v, want %q", err, test.err)
			}
		})
	}
}

func TestDockerHost(t *testing.T) {
	t.Setenv("DOCKER_TLS_VERIFY", "")
	for host, want := range map[string]string{
		"unix:///run/d.sock":    "unix /run/d.sock",
		"tcp://10.0.0.1:2375":   "tcp 10.0.0.1:2375",
		"http://localhost:2375": "tcp localhost:2375",
		"tcp://10.0.0.1":        "",
		"ssh://me@there":        "",
		"unix://":               "",
		"://":                   "",
	} {
		network, address, err := engine(host)
		if got := strings.TrimSpace(network + " " + address); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", host, got, err)
		}
	}
}
