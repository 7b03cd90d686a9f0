//go:build linux

package process

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/etcd/etcdtest"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// What anybody with curl sees of an agent.
func TestAgentOnTheWire(t *testing.T) {
	f := newFixture(t, 1, nil)
	f.up(t)
	socket := agent.Socket(memberDir(f.spec.Name, "m1"))
	if st, err := os.Stat(socket); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("socket %v %v", st, err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	curl := &http.Client{Transport: transport}
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "status", "", 200, `"state":"running"`},
		{"GET", "disk/stats", "", 200, `"powered":true`},
		{"GET", "disk/faults", "", 200, `[]`},
		{"GET", "disk/cutlog", "", 500, `"kind":"internal"`},
		{"POST", "freeze", `{"deadline":"30s"}`, 200, `"observed":true`},
		{"GET", "status", "", 200, `"state":"frozen"`},
		{"POST", "thaw", "", 200, `"state":"running"`},
		{"POST", "freeze", `{"deadline":1}`, 400, `"kind":"invalid"`},
		{"POST", "freeze", `{"dead":"1s"}`, 400, `unknown field`},
		{"POST", "link", ``, 400, `up must be`},
		{"POST", "disk/restore", `{"policy":"drop"}`, 409, `still runs; kill it first`},
		{"PUT", "disk/faults", `{"faults":[{"op":"eat"}]}`, 400, `\"eat\" does not exist`},
		{"PUT", "disk/profile", `{"profile":"perfect"}`, 400, `perfect`},
		{"POST", "etcd/kill", "", 200, `"state":"stopped"`},
		{"POST", "etcd/kill", "", 200, `"state":"stopped"`},
		{"POST", "freeze", `{"deadline":"1s"}`, 409, `does not run`},
		{"POST", "disk/restore", `{"policy":"drop"}`, 409, `cut it first`},
		{"POST", "disk/cut", "", 200, `"position"`},
		{"POST", "etcd/start", "", 409, `no power`},
		{"GET", "archive", "", 409, `has no power`},
		{"POST", "disk/restore", `{"policy":"keep","seed":7}`, 200, `"mount"`},
		{"GET", "archive", "", 200, "member/wal"},
		{"POST", "etcd/start", "", 200, `"state":"running"`},
		{"GET", "nothing", "", 404, ""},
		{"DELETE", "status", "", 405, ""},
	} {
		request, err := http.NewRequestWithContext(f.ctx, c.method, "http://agent/v1/"+c.path, strings.NewReader(c.body))
		must(t, err)
		answer, err := curl.Do(request)
		must(t, err)
		body, err := io.ReadAll(answer.Body)
		must(t, err)
		answer.Body.Close()
		if answer.StatusCode != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("%s %s %s: %d %.300s, want %d %s", c.method, c.path, c.body, answer.StatusCode, body, c.status, c.want)
		}
		if answer.StatusCode >= 400 && c.want != "" && !json.Valid(body) {
			t.Errorf("%s %s: not JSON: %s", c.method, c.path, body)
		}
	}
}

func TestFileSystems(t *testing.T) {
	for _, fs := range spec.FSes {
		t.Run(fs, func(t *testing.T) {
			f := newFixture(t, 2, func(s *spec.Lab) { s.Disk.FS = fs })
			l := f.up(t)
			etcdtest.Put(t, client(t, l, 0), "k", "v")
			for _, m := range l.Members {
				start := time.Now()
				_, err := can[lab.PowerCutter](t, m).Cut(f.ctx)
				must(t, err)
				must(t, can[lab.Runner](t, m).Kill(f.ctx))
				r, err := can[lab.PowerCutter](t, m).Restore(f.ctx, "drop", 1)
				must(t, err)
				must(t, can[lab.Runner](t, m).Start(f.ctx))
				t.Logf("%s: back after %v, of which mount %v", m.Name(), time.Since(start), r.Mount)
			}
			must(t, f.ready(f.ctx, l))
			r, err := client(t, l, 1).Get(f.ctx, "k")
			must(t, err)
			if len(r.Kvs) != 1 {
				t.Error("the acknowledged write is lost")
			}
		})
	}
}

// BenchmarkUp is the time until 3 members serve, and until nothing is left.
func BenchmarkUp(b *testing.B) {
	f := newFixture(b, 3, nil)
	f.Progress = nil
	var up, down time.Duration
	for b.Loop() {
		start := time.Now()
		l, err := f.Up(f.ctx, f.spec, f.images)
		if err != nil {
			b.Fatal(err)
		}
		up += time.Since(start)
		closeAll(l)
		start = time.Now()
		if err := f.Down(f.ctx, f.spec.Name); err != nil {
			b.Fatal(err)
		}
		down += time.Since(start)
	}
	b.ReportMetric(float64(up.Milliseconds())/float64(b.N), "up-ms/op")
	b.ReportMetric(float64(down.Milliseconds())/float64(b.N), "down-ms/op")
}
