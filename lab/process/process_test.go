//go:build linux

package process

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/etcd/etcdtest"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// client speaks to one member only.
func client(t testing.TB, l *lab.Lab, i int) *clientv3.Client {
	t.Helper()
	config, err := l.ClientTLS()
	if err != nil {
		t.Fatal(err)
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{info(t, l.Members[i]).ClientURL}, TLS: config, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func info(t testing.TB, m lab.Member) lab.Info {
	t.Helper()
	i, err := m.Info(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func can[C any](t testing.TB, m lab.Member) C {
	t.Helper()
	c, err := lab.Can[C](m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLifeOfALab(t *testing.T) {
	f := newFixture(t, 3, nil)
	l := f.up(t)
	etcdtest.Put(t, client(t, l, 0), "k", "v")

	var pids []int
	for _, m := range l.Members {
		i := info(t, m)
		if i.State != lab.StateRunning || i.PID == 0 || i.Version != version || i.FailpointURL == "" {
			t.Errorf("%+v", i)
		}
		pids = append(pids, i.PID)
	}

	// Again is the same lab.
	start := time.Now()
	again := f.up(t)
	t.Logf("converge took %v", time.Since(start))
	for i, m := range again.Members {
		if got := info(t, m).PID; got != pids[i] {
			t.Errorf("%s: process %d became %d", m.Name(), pids[i], got)
		}
	}

	// Another spec is another lab.
	changed := *f.spec
	changed.Etcd.Args = map[string]string{"snapshot-count": "77"}
	_, err := f.Up(f.ctx, &changed, f.images)
	var diff *lab.SpecChangedError
	if !errors.As(err, &diff) || !strings.Contains(diff.Diff, "+ etcd.args.snapshot-count: 77") {
		t.Errorf("changed spec: %v", err)
	}

	// A member that was killed comes back with its data.
	must(t, can[lab.Runner](t, l.Members[1]).Kill(f.ctx))
	if i := info(t, l.Members[1]); i.State != lab.StateStopped || i.Exit != "signal: killed" {
		t.Errorf("killed: %+v", i)
	}
	f.up(t)
	r, err := client(t, l, 1).Get(f.ctx, "k")
	must(t, err)
	if len(r.Kvs) != 1 || string(r.Kvs[0].Value) != "v" {
		t.Errorf("after the kill: %+v", r.Kvs)
	}

	// Stop is clean.
	must(t, can[lab.Runner](t, l.Members[2]).Stop(f.ctx))
	if i := info(t, l.Members[2]); i.State != lab.StateStopped {
		t.Errorf("stopped: %+v", i)
	}

	// Exec reaches the member with its own tools.
	var out, complaint bytes.Buffer
	exit, err := f.Exec(f.ctx, l.Name, "m1", []string{"etcdctl", "get", "k", "--print-value-only"}, nil, &out, &complaint)
	if err != nil || exit != 0 || strings.TrimSpace(out.String()) != "v" {
		t.Errorf("exec: %d %v %q %q", exit, err, out.String(), complaint.String())
	}
	if exit, err := f.Exec(f.ctx, l.Name, "m1", []string{"sh", "-c", "exit 7"}, nil, io.Discard, io.Discard); exit != 7 || err != nil {
		t.Errorf("exec of a failing command: %d %v", exit, err)
	}

	labs, err := f.List(f.ctx)
	must(t, err)
	var found bool
	for _, x := range labs {
		found = found || (x.Name == l.Name && len(x.Members) == 3 && x.Partial == "")
		closeAll(x)
	}
	if !found {
		t.Errorf("not in the list: %v", labs)
	}
	if path, err := f.LogPath(l.Name, "m1"); err != nil {
		t.Error(err)
	} else if data, err := os.ReadFile(path); err != nil || !bytes.Contains(data, []byte("etcdlab starts etcd")) {
		t.Errorf("log %s: %v", path, err)
	}
}

func TestFaultsFreezeArchive(t *testing.T) {
	f := newFixture(t, 1, nil)
	l := f.up(t)
	m := l.Members[0]
	c := client(t, l, 0)
	_, err := c.Put(f.ctx, "k", "v")
	must(t, err)

	archive := can[lab.Archiver](t, m)
	look := func(want string) {
		var buf bytes.Buffer
		how, err := archive.Archive(f.ctx, &buf)
		must(t, err)
		if how != want {
			t.Errorf("archived %s, want %s", how, want)
		}
		var names []string
		for r := tar.NewReader(&buf); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			must(t, err)
			names = append(names, h.Name)
		}
		if all := strings.Join(names, " "); !strings.Contains(all, "member/snap/db") || !strings.Contains(all, "member/wal/") {
			t.Errorf("archive has %v", names)
		}
	}
	look("frozen")
	if i := info(t, m); i.State != lab.StateRunning {
		t.Errorf("not thawed after the archive: %+v", i)
	}
	_, err = c.Put(f.ctx, "k", "v2")
	must(t, err)

	frozen, err := can[lab.Pauser](t, m).Freeze(f.ctx, 30*time.Second)
	if err != nil || !frozen.Observed {
		t.Errorf("freeze: %+v %v", frozen, err)
	}
	if i := info(t, m); i.State != lab.StateFrozen {
		t.Errorf("frozen: %+v", i)
	}
	ask, cancel := context.WithTimeout(f.ctx, 100*time.Millisecond)
	if _, err := c.Put(ask, "k", "v3"); err == nil {
		t.Error("a frozen member answered")
	}
	cancel()
	must(t, can[lab.Pauser](t, m).Thaw(f.ctx))
	_, err = c.Put(f.ctx, "k", "v4")
	must(t, err)

	must(t, can[lab.Linker](t, m).SetLink(f.ctx, false))
	ask, cancel = context.WithTimeout(f.ctx, 100*time.Millisecond)
	if _, err := c.Put(ask, "k", "v5"); err == nil {
		t.Error("a member without a link answered")
	}
	cancel()
	must(t, can[lab.Linker](t, m).SetLink(f.ctx, true))

	faulter := can[lab.DiskFaulter](t, m)
	if err := faulter.SetDiskFaults(f.ctx, []disk.Fault{{Op: "jump"}}); err == nil {
		t.Error("a fault that does not exist was armed")
	}
	must(t, faulter.SetDiskFaults(f.ctx, []disk.Fault{{Op: disk.OpFlush, Count: 1}}))
	// etcd ends when an fdatasync fails; the put is not acknowledged.
	ask, cancel = context.WithTimeout(f.ctx, 5*time.Second)
	_, err = c.Put(ask, "k", "v6")
	cancel()
	if err == nil {
		t.Error("a put was acknowledged although its flush failed")
	}
	for end := time.Now().Add(time.Minute); info(t, m).State == lab.StateRunning && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
	}
	if i := info(t, m); i.State != lab.StateStopped || !strings.Contains(i.Exit, "exit status") || !strings.Contains(i.Exit, "input/output error") {
		t.Errorf("after the failed flush: %+v", i)
	}
	states, err := faulter.DiskFaults(f.ctx)
	if err != nil || len(states) != 1 || states[0].Hit != 1 {
		t.Errorf("faults: %+v %v", states, err)
	}
	look("stopped")
	if s, err := faulter.DiskStats(f.ctx); err != nil || s.Errors == 0 || s.Flushes == 0 {
		t.Errorf("stats: %+v %v", s, err)
	}
	if err := can[lab.PowerCutter](t, m).CutLog(f.ctx, io.Discard); err == nil {
		t.Error("a cut log without a cut")
	}
}

func TestTLSAndPlain(t *testing.T) {
	f := newFixture(t, 1, func(s *spec.Lab) { s.TLS, s.Disk.Kind = true, "plain" })
	l := f.up(t)
	_, err := client(t, l, 0).Put(f.ctx, "k", "v")
	must(t, err)
	var out bytes.Buffer
	exit, err := f.Exec(f.ctx, l.Name, "m1", []string{"etcdctl", "endpoint", "health"}, nil, &out, &out)
	if err != nil || exit != 0 {
		t.Errorf("etcdctl over TLS: %d %v %s", exit, err, out.String())
	}
	var no *lab.UnsupportedError
	if _, err := lab.Can[lab.PowerCutter](l.Members[0]); !errors.As(err, &no) {
		t.Errorf("power loss of a plain disk: %v", err)
	}
	must(t, can[lab.Runner](t, l.Members[0]).Kill(f.ctx))
}
