//go:build linux

package vm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/etcdlab/etcdlab"
	"github.com/etcdlab/etcdlab/images"
	"github.com/etcdlab/etcdlab/images/guest"
	"github.com/etcdlab/etcdlab/images/imagetest"
	"github.com/etcdlab/etcdlab/internal/tail"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// The test binary is the agent beside its machines.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "vm-agent" {
		if err := AgentMain(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// binaries finds a built etcd in the image cache and makes its guest, or skips.
func binaries(t testing.TB) lab.Binaries {
	t.Helper()
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("missing: qemu-system-x86_64; hack/deps.sh vm installs it")
	}
	img := imagetest.Etcd(t, "")
	dir, err := images.DefaultDir()
	if err != nil {
		t.Fatal(err)
	}
	store, err := images.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	store.AgentSource = etcdlab.Source
	g, err := guest.Build(context.Background(), store, img, guest.Options{})
	if err != nil {
		t.Skipf("missing: a kernel for guests: %v", err)
	}
	return lab.Binaries{
		Key: img.Key, Version: img.Version, Etcd: img.Binaries["etcd"], Etcdctl: img.Binaries["etcdctl"], Etcdutl: img.Binaries["etcdutl"],
		Guest: &lab.GuestImage{Kernel: g.Kernel, Initrd: g.Initrd, Release: g.Release, Arch: g.Arch, Lacks: g.Lacks},
	}
}

// fixture is a provider and a spec, taken down at the end with nothing left.
type fixture struct {
	*Provider
	spec   *spec.Lab
	images map[string]lab.Binaries
	ctx    context.Context
}

func newFixture(t *testing.T, members int, change func(*spec.Lab)) *fixture {
	t.Helper()
	s := &spec.Lab{Name: fmt.Sprintf("vmt%d-%s", os.Getpid()%100000, strings.ToLower(t.Name()[4:min(len(t.Name()), 14)]))}
	s.Members = spec.Count(members)
	s.Provider = Name
	if change != nil {
		change(s)
	}
	s.Default()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	p.Progress = func(format string, args ...any) {
		t.Logf("%.2fs "+format, append([]any{time.Since(start).Seconds()}, args...)...)
	}
	f := &fixture{Provider: p, spec: s, images: map[string]lab.Binaries{}}
	b := binaries(t)
	if err := p.Check(t.Context(), s); err != nil {
		t.Skip(err)
	}
	for _, m := range s.Members {
		f.images[m.Name] = b
	}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	f.ctx = ctx
	t.Cleanup(func() {
		defer cancel()
		if t.Failed() {
			logs, _ := filepath.Glob(os.Getenv("XDG_STATE_HOME") + "/etcdlab/vm/*/*/*.log")
			for _, l := range logs {
				t.Logf("%s\n%s", l, tail.File(l))
			}
		}
		end, stop := context.WithTimeout(context.Background(), 3*time.Minute)
		defer stop()
		if err := p.Down(end, s.Name); err != nil {
			t.Errorf("down: %v", err)
		}
		if left, err := discover(s.Name); err != nil || left.any() {
			t.Errorf("left after down: %+v, %v", left, err)
		}
	})
	start = time.Now()
	return f
}

func (f *fixture) up(t *testing.T) *lab.Lab {
	t.Helper()
	start := time.Now()
	l, err := f.Up(f.ctx, f.spec, f.images)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up took %v", time.Since(start).Round(time.Millisecond))
	t.Cleanup(func() {
		for _, m := range l.Members {
			m.(*member).Close()
		}
	})
	return l
}

func itoa(n int) string { return fmt.Sprint(n) }
