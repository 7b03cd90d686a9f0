package docker

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/docker/docker/client"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// engine is a provider on an engine that only says what it is.
func engine(t *testing.T, api, os string, info map[string]any) *Provider {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", api)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/version"):
			_ = json.NewEncoder(w).Encode(map[string]string{"ApiVersion": api, "Os": os, "Arch": "arm64"})
		case strings.HasSuffix(r.URL.Path, "/info"):
			_ = json.NewEncoder(w).Encode(info)
		}
	}))
	t.Cleanup(s.Close)
	c, err := client.NewClientWithOpts(client.WithHost("tcp://"+s.Listener.Addr().String()), client.WithAPIVersionNegotiation())
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return &Provider{api: c, host: c.DaemonHost()}
}

func TestEngines(t *testing.T) {
	fault, none := testSpec(nil), testSpec(plain)
	usual := map[string]any{"NCPU": 4, "MemTotal": 8 << 30, "SecurityOptions": []string{"name=seccomp,profile=default", "name=cgroupns"}}
	rootless := map[string]any{"NCPU": 4, "SecurityOptions": []string{"name=rootless"}}
	for _, c := range []struct {
		name, api, os string
		info          map[string]any
		spec          *spec.Lab
		want          string
	}{
		{"usual", "1.51", "linux", usual, fault, ""},
		{"oldest", "1.41", "linux", usual, fault, ""},
		{"too old", "1.40", "linux", usual, fault, "20.10"},
		{"Windows", "1.47", "windows", usual, fault, "Linux containers"},
		{"rootless", "1.47", "linux", rootless, fault, "--disk plain"},
		{"rootless, plain", "1.47", "linux", rootless, none, ""},
		{"user namespaces", "1.47", "linux", map[string]any{"NCPU": 1, "SecurityOptions": []string{"name=seccomp,profile=default", "name=userns"}}, fault, "userns"},
	} {
		p := engine(t, c.api, c.os, c.info)
		err := p.Check(context.Background(), c.spec)
		var env *lab.EnvironmentError
		if (err == nil) != (c.want == "") || err != nil && (!errors.As(err, &env) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if arch, err := p.Platform(context.Background()); c.want == "" && (err != nil || arch != "arm64") {
			t.Errorf("%s: %s %v", c.name, arch, err)
		}
	}
	far := engine(t, "1.47", "linux", usual)
	far.host = "tcp://10.0.0.7:2376"
	if err := far.Check(context.Background(), fault); err == nil || !strings.Contains(err.Error(), "10.0.0.7") {
		t.Errorf("an engine elsewhere: %v", err)
	}
}
