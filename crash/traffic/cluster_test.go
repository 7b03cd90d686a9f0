package traffic

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/images/imagetest"
	"github.com/etcdlab/etcdlab/internal/freeport"
)

// watchMemory is a sink that keeps every record.
type watchMemory struct {
	mu      sync.Mutex
	records []history.WatchRecord
}

func (m *watchMemory) Append(r *history.WatchRecord) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = append(m.records, *r)
	return nil
}

// startCluster runs n real etcds of a version on loopback.
func startCluster(t testing.TB, version string, n int, args ...string) (eps []Endpoint, commands []*exec.Cmd) {
	t.Helper()
	img := imagetest.Etcd(t, version)
	var peers, initial []string
	for i := range n {
		eps = append(eps, Endpoint{fmt.Sprintf("m%d", i+1), "http://" + freeport.Address(t)})
		peers = append(peers, "http://"+freeport.Address(t))
		initial = append(initial, eps[i].Member+"="+peers[i])
	}
	for i, ep := range eps {
		cmd := exec.Command(img.Binaries["etcd"], append([]string{"--name=" + ep.Member, "--data-dir=" + filepath.Join(t.TempDir(), "data"),
			"--listen-client-urls=" + ep.URL, "--advertise-client-urls=" + ep.URL, "--listen-peer-urls=" + peers[i],
			"--initial-advertise-peer-urls=" + peers[i], "--initial-cluster=" + strings.Join(initial, ","),
			"--heartbeat-interval=30", "--election-timeout=300", "--log-level=error"}, args...)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		commands = append(commands, cmd)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, ep := range eps {
		c, err := Dial(ep.URL, nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := c.Get(ctx, "x"); err == nil {
				break
			} else if ctx.Err() != nil {
				t.Fatal("etcd does not serve:", err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		_ = c.Close()
	}
	return eps, commands
}

func clusterOptions(eps []Endpoint, profile string, sink Sink, watches WatchSink) Options {
	p, err := Find(profile)
	if err != nil {
		panic(err)
	}
	return Options{
		RunID: "0123456789abcdef", Prefix: "/etcdlab/0123456789abcdef/", Endpoints: eps,
		Profile: p, Seed: 1, Sink: sink, Watches: watches,
	}
}
