package docker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	dockerimage "github.com/docker/docker/api/types/image"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	etcdlab "github.com/etcdlab/etcdlab"
	"github.com/etcdlab/etcdlab/images"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// The local state of the labs that are made here is nobody else's.
func TestMain(m *testing.M) {
	if os.Getenv(envNobody) == "" {
		dir, err := os.MkdirTemp("", "etcdlab-docker-*")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Setenv("XDG_STATE_HOME", dir)
		goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
			unload()
			os.RemoveAll(dir)
			os.Exit(code)
		}))
	}
	goleak.VerifyTestMain(m)
}

// envNobody has, for the test that runs as an ordinary user, the binaries.
const envNobody = "ETCDLAB_TEST_NOBODY"

const version = "v3.7.3"

// loaded is the image that this process had the engine load, if it did.
var loaded string

// unload removes it: every change of the source makes another. An image that is
// in use stays.
func unload() {
	if loaded == "" {
		return
	}
	if p, err := New(); err == nil {
		_, _ = p.api.ImageRemove(context.Background(), loaded, dockerimage.RemoveOptions{})
		p.Close()
	}
}

// image makes the members' image once, or says why there is none.
var image = sync.OnceValues(func() (lab.Binaries, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	cache, err := os.UserCacheDir()
	if err != nil {
		return lab.Binaries{}, err
	}
	store, err := images.Open(filepath.Join(cache, "etcdlab"))
	if err != nil {
		return lab.Binaries{}, err
	}
	store.AgentSource = etcdlab.Source
	all, err := store.List()
	if err != nil {
		return lab.Binaries{}, err
	}
	p, err := New()
	if err != nil {
		return lab.Binaries{}, err
	}
	defer p.Close()
	arch, err := p.Platform(ctx)
	if err != nil {
		return lab.Binaries{}, err
	}
	for _, i := range all {
		if i.Version != version || len(i.Failpoints) == 0 || i.Arch != arch {
			continue
		}
		c, err := store.Container(ctx, i)
		if err != nil {
			return lab.Binaries{}, err
		}
		b := lab.Binaries{
			Key: i.Key, Version: i.Version, Etcd: i.Binaries["etcd"], Etcdctl: i.Binaries["etcdctl"], Etcdutl: i.Binaries["etcdutl"],
			Container: &lab.ContainerImage{Reference: c.Reference, ID: c.ID, Archive: c.Archive, Arch: c.Arch},
		}
		if id, err := p.has(ctx, b.Container); err != nil || id != "" {
			return b, err
		}
		loaded = c.Reference
		_, err = p.load(ctx, b, arch)
		return b, err
	}
	return lab.Binaries{}, fmt.Errorf("no etcd %s for %s in the image cache: etcdlab images build %s", version, arch, version)
})

// fixture is a provider and a spec, taken down at the end with nothing left.
type fixture struct {
	*Provider
	spec   *spec.Lab
	images map[string]lab.Binaries
	ctx    context.Context
}

func newFixture(t testing.TB, members int, change func(*spec.Lab)) *fixture {
	t.Helper()
	if testing.Short() {
		t.Skip("makes containers, which -short leaves out")
	}
	b, err := image()
	if err != nil {
		t.Skip("missing: a Docker engine with an image of members: ", err)
	}
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()[4:min(len(t.Name()), 20)]))
	s := &spec.Lab{Name: strings.Trim(fmt.Sprintf("dk%d-%s", os.Getpid()%100000, name), "-"), Members: spec.Count(members)}
	s.Disk.Size = 256 << 20
	if change != nil {
		change(s)
	}
	s.Default()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	p.Progress, p.Version = t.Logf, "test"
	if err := p.Check(context.Background(), s); err != nil {
		t.Skip("missing: ", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	f := &fixture{Provider: p, spec: s, images: map[string]lab.Binaries{}, ctx: ctx}
	for _, m := range s.Members {
		f.images[m.Name] = b
	}
	t.Cleanup(func() {
		defer p.Close()
		defer cancel()
		if t.Failed() {
			for _, m := range names(s) {
				t.Logf("log of %s:\n%s", m, p.tail(context.Background(), m, s.Name))
			}
		}
		end, stop := context.WithTimeout(context.Background(), 4*time.Minute)
		defer stop()
		if err := p.Down(end, s.Name); err != nil {
			t.Errorf("down: %v", err)
		}
		f.nothingLeft(t)
	})
	return f
}

func (f *fixture) up(t testing.TB) *lab.Lab {
	t.Helper()
	start := time.Now()
	l, err := f.Up(f.ctx, f.spec, f.images)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up of %d members took %v", len(l.Members), time.Since(start).Round(time.Millisecond))
	t.Cleanup(func() { closeAll(l) })
	return l
}

// nothingLeft looks for every kind of trace, on this machine's kernel too if
// the engine shares it.
func (f *fixture) nothingLeft(t testing.TB) {
	t.Helper()
	found, err := f.discover(context.Background(), f.spec.Name)
	if err != nil {
		t.Fatal(err)
	}
	if found.any() {
		t.Errorf("left: %+v", found)
	}
	root, _ := stateRoot()
	for _, path := range []string{filepath.Join(root, f.spec.Name), filepath.Join(root, ".locks", f.spec.Name)} {
		if exists(path) {
			t.Errorf("left: %s", path)
		}
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		left := loops(f.spec.Name)
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Errorf("left: %v", left)
			return
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func can[C any](t testing.TB, m lab.Member) C {
	t.Helper()
	c, err := lab.Can[C](m)
	must(t, err)
	return c
}

func info(t testing.TB, m lab.Member) lab.Info {
	t.Helper()
	i, err := m.Info(context.Background())
	must(t, err)
	return i
}

func dial(t testing.TB, l *lab.Lab, i int) *clientv3.Client {
	t.Helper()
	config, err := l.ClientTLS()
	must(t, err)
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{info(t, l.Members[i]).ClientURL}, TLS: config, Logger: zap.NewNop()})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}
