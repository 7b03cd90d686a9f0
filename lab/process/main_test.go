//go:build linux

package process

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/etcdlab/etcdlab/images/imagetest"
	"github.com/etcdlab/etcdlab/internal/cgroup"
	"github.com/etcdlab/etcdlab/internal/netns"
	"github.com/etcdlab/etcdlab/internal/tail"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// The test binary is its own agent.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		if err := agent.Main(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const version = "v3.7.3"

// binaries finds a built etcd in the image cache, or skips.
func binaries(t testing.TB) lab.Binaries {
	t.Helper()
	img := imagetest.Etcd(t, version)
	return lab.Binaries{
		Key: img.Key, Version: img.Version, Etcd: img.Binaries["etcd"], Etcdctl: img.Binaries["etcdctl"], Etcdutl: img.Binaries["etcdutl"],
	}
}

// fixture is a provider and a spec, taken down at the end with nothing left.
type fixture struct {
	*Provider
	spec   *spec.Lab
	images map[string]lab.Binaries
	ctx    context.Context
}

func newFixture(t testing.TB, members int, change func(*spec.Lab)) *fixture {
	t.Helper()
	s := &spec.Lab{Name: fmt.Sprintf("t%d-%s", os.Getpid()%100000, strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()[4:min(len(t.Name()), 20)])))}
	s.Name = strings.Trim(s.Name, "-")
	s.Members = spec.Count(members)
	if change != nil {
		change(s)
	}
	s.Default()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check(context.Background(), s); err != nil {
		t.Skip(err)
	}
	p.Progress = t.Logf
	f := &fixture{Provider: p, spec: s, images: map[string]lab.Binaries{}}
	b := binaries(t)
	for _, m := range s.Members {
		f.images[m.Name] = b
	}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	f.ctx = ctx
	t.Cleanup(func() {
		defer cancel()
		if t.Failed() {
			logs, _ := filepath.Glob(os.Getenv("XDG_STATE_HOME") + "/etcdlab/labs/*/*/*.log")
			for _, l := range logs {
				t.Logf("%s\n%s", l, tail.File(l))
			}
		}
		end, stop := context.WithTimeout(context.Background(), 3*time.Minute)
		defer stop()
		if err := p.Down(end, s.Name); err != nil {
			t.Errorf("down: %v", err)
		}
		f.nothingLeft(t)
	})
	return f
}

func (f *fixture) up(t *testing.T) *lab.Lab {
	t.Helper()
	start := time.Now()
	l, err := f.Up(f.ctx, f.spec, f.images)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up of %d members took %v", len(l.Members), time.Since(start))
	t.Cleanup(func() { closeAll(l) })
	return l
}

func closeAll(l *lab.Lab) {
	for _, m := range l.Members {
		m.(*member).Close()
	}
}

// nothingLeft looks for every kind of trace.
func (f *fixture) nothingLeft(t testing.TB) {
	t.Helper()
	found, err := discover(f.spec.Name)
	if err != nil {
		t.Fatal(err)
	}
	if found.any() {
		t.Errorf("left: %+v", found)
	}
	spaces, _ := netns.List()
	for _, ns := range spaces {
		if strings.Contains(ns, f.spec.Name) {
			t.Errorf("left: namespace %s", ns)
		}
	}
	trees, _ := cgroup.Hierarchies()
	for _, h := range trees {
		if _, err := os.Stat(filepath.Join(h.Mount, lab.Cgroup(f.spec.Name))); err == nil {
			t.Errorf("left: cgroup in %s", h.Mount)
		}
	}
	for _, file := range []string{"/proc/self/mountinfo", "/proc/net/dev"} {
		data, _ := os.ReadFile(file)
		if strings.Contains(string(data), f.spec.Name+"/") || strings.Contains(string(data), lab.HostLink(f.spec.Name)) {
			t.Errorf("left in %s:\n%s", file, data)
		}
	}
	loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, file := range loops {
		if data, _ := os.ReadFile(file); strings.Contains(string(data), f.spec.Name) {
			t.Errorf("left: %s on %s", file, data)
		}
	}
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range procs {
		if data, _ := os.ReadFile(file); strings.Contains(string(data), f.spec.Name) {
			t.Errorf("left: process %s %q", file, data)
		}
	}
	for _, path := range []string{lab.RunDir(f.spec.Name), filepath.Join(lab.RunRoot, ".locks", f.spec.Name)} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("left: %s", path)
		}
	}
}
