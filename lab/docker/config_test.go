package docker

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// The archive is all that an agent starts from.
func TestArchive(t *testing.T) {
	s := testSpec(func(s *spec.Lab) { s.TLS = true })
	dir := t.TempDir()
	all := planned(s)
	files, err := certificates(dir, all)
	if err != nil {
		t.Fatal(err)
	}
	data, err := all[1].archive(files["m2"])
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := got[h.Name]; twice || h.Uid != 0 || h.Mode&0o077 != 0 || strings.HasPrefix(h.Name, "/") {
			t.Errorf("%+v", h)
		}
		got[h.Name], _ = io.ReadAll(r)
	}
	var c agent.Config
	if err := json.Unmarshal(got["run/agent.json"], &c); err != nil {
		t.Fatal(err)
	}
	if c.Inside.Address != "172.30.7.12/24" || c.Listen != "0.0.0.0:2390" || c.Forward[0] != (agent.Forward{Listen: "0.0.0.0:12379", To: "172.30.7.12:2379"}) {
		t.Errorf("%+v", c)
	}
	for _, f := range []string{c.TLS.CA, c.TLS.Cert, c.TLS.Key} {
		if name, ok := strings.CutPrefix(f, all[1].paths.volume+"/"); !ok || len(got[name]) == 0 {
			t.Errorf("%s is not there", f)
		}
	}
	if !slices.Contains(c.Args, "--cert-file="+all[1].paths.tls+"/etcd/member.crt") {
		t.Errorf("%v", c.Args)
	}
	// The members' keys are nowhere else.
	for _, sub := range []string{agentTLS, etcdTLS} {
		left, _ := filepath.Glob(filepath.Join(dir, sub, "*"))
		if len(left) != 3 {
			t.Errorf("left: %v", left)
		}
	}
	if err := hasKeys("demo", "alice", dir); err != nil {
		t.Error(err)
	}
	if err := hasKeys("demo", "alice", t.TempDir()); err == nil || !strings.Contains(err.Error(), "made by alice") {
		t.Error(err)
	}
}
