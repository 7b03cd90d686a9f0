package images

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdlab/etcdlab/internal/freeport"
)

// testStore is a real cache: the user's own, so that a binary is compiled once
// and not once a test run, or that in ETCDLAB_TEST_CACHE.
func testStore(t *testing.T) *Store {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles etcd, which -short leaves out")
	}
	dir := os.Getenv("ETCDLAB_TEST_CACHE")
	if dir == "" {
		var err error
		if dir, err = DefaultDir(); err != nil {
			t.Skip(err)
		}
	}
	s, err := Open(dir)
	must(t, err)
	return s
}

func realBuild(t *testing.T, s *Store, r Request) Image {
	t.Helper()
	img, err := s.Build(bg, r, func(line string) { t.Log(line) })
	if kindOf(err) == Environment {
		t.Skip("cannot build here: ", err)
	}
	must(t, err)
	return img
}

func TestReleaseIsWhatItsManifestSays(t *testing.T) {
	s := testStore(t)
	r := Request{Version: DefaultVersion}
	img := realBuild(t, s, r)
	if img.Version != DefaultVersion || len(img.Tools) != 0 {
		t.Errorf("version %s, tools %v", img.Version, img.Tools)
	}
	checkBinaries(t, img, strings.TrimPrefix(DefaultVersion, "v"))
	checkPoints(t, img)
	if !slices.ContainsFunc(img.Failpoints, func(p Failpoint) bool {
		return p == Failpoint{"raftBeforeSave", serverModule + "/etcdserver", "etcdserver/raft.go", "struct{}"}
	}) {
		t.Errorf("no raftBeforeSave in %v", img.Failpoints)
	}

	// The list from the sources alone is the same; an empty cache asks for it.
	fresh, err := Open(t.TempDir())
	must(t, err)
	points, err := fresh.ListFailpoints(bg, r)
	must(t, err)
	if d := cmp.Diff(img.Failpoints, points); d != "" {
		t.Errorf("listed without compiling: %s", d)
	}
	// And so are the binaries, to the byte, wherever they are built.
	again := realBuild(t, fresh, r)
	for name, p := range img.Binaries {
		a, err := os.ReadFile(p)
		must(t, err)
		b, err := os.ReadFile(again.Binaries[name])
		must(t, err)
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs between two builds", name)
		}
	}
	must(t, os.RemoveAll(fresh.dir))
}

// A local tree, here one put together from the modules of a release, with
// bbolt's failpoints, by a user whose GOFLAGS would break the build.
func TestLocalTreeWithBboltFailpoints(t *testing.T) {
	s := testStore(t)
	dir := t.TempDir()
	p, err := s.plan(bg, Request{Version: DefaultVersion})
	must(t, err)
	if p.goTool == nil {
		t.Skip(errNoGo)
	}
	k, err := newKitchen(p, t.TempDir(), func(string) {})
	must(t, err)
	for at, mod := range map[string]string{"api": "api/v3", "client/pkg": "client/pkg/v3", "client/v3": "client/v3",
		"pkg": "pkg/v3", "server": "server/v3", "etcdctl": "etcdctl/v3", "etcdutl": "etcdutl/v3"} {
		from, err := k.download(bg, "go.etcd.io/etcd/"+mod, DefaultVersion)
		if kindOf(err) == Environment {
			t.Skip("cannot build here: ", err)
		}
		must(t, err)
		must(t, copyModule(bg, from, filepath.Join(dir, at)))
	}
	version := filepath.Join(dir, filepath.FromSlash(versionFile))
	b, err := os.ReadFile(version)
	must(t, err)
	must(t, os.WriteFile(version, bytes.Replace(b, []byte(`"`+strings.TrimPrefix(DefaultVersion, "v")+`"`), []byte(`"3.7.99"`), 1), 0o644))
	t.Setenv("GOFLAGS", "-mod=vendor -tags=nosuch")

	own, err := Open(t.TempDir())
	must(t, err)
	r := Request{Source: dir, BboltFailpoints: true}
	points, err := own.ListFailpoints(bg, r)
	must(t, err)
	img := realBuild(t, own, r)
	if d := cmp.Diff(points, img.Failpoints); d != "" {
		t.Errorf("listed without compiling: %s", d)
	}
	if img.Version != "v3.7.99" || img.Source != dir {
		t.Errorf("version %s, source %s", img.Version, img.Source)
	}
	// The changed line is in a sibling module: the tree's, not the release's.
	checkBinaries(t, img, "3.7.99")
	checkPoints(t, img)
	if !slices.ContainsFunc(img.Failpoints, func(p Failpoint) bool {
		return p.Name == "beforeSyncMetaPage" && p.Package == bboltModule && p.File == "tx.go"
	}) {
		t.Errorf("no beforeSyncMetaPage of bbolt in %v", img.Failpoints)
	}

	must(t, os.WriteFile(filepath.Join(dir, "server", "broken.go"), []byte("package main\n\nvar x = undefined\n"), 0o644))
	if _, err := own.Build(bg, r, nil); kindOf(err) != Usage || !strings.Contains(err.Error(), "undefined: undefined") {
		t.Errorf("a tree that does not compile: %v", err)
	}
	if l := left(t, own.tmp()); len(l) != 0 {
		t.Errorf("left in tmp: %v", l)
	}
}

func checkBinaries(t *testing.T, img Image, version string) {
	t.Helper()
	for name, p := range img.Binaries {
		if err := static(p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		info, err := buildinfo.ReadFile(p)
		must(t, err)
		gofail := slices.ContainsFunc(info.Deps, func(m *debug.Module) bool { return m.Path == gofailModule && m.Version == gofailVersion })
		if gofail != (name == "etcd") {
			t.Errorf("%s: links gofail %s: %v", name, gofailVersion, gofail)
		}
		if runtime.GOOS != imageOS {
			continue
		}
		arg := map[string]string{"etcd": "--version", "etcdctl": "version", "etcdutl": "version"}[name]
		out, err := exec.Command(p, arg).CombinedOutput()
		first, _, _ := strings.Cut(string(out), "\n")
		if err != nil || !strings.HasSuffix(strings.ToLower(first), " version: "+version) {
			t.Errorf("%s %s says %q, %v", name, arg, first, err)
		}
	}
}

// checkPoints compares the manifest with what the running binary lists.
func checkPoints(t *testing.T, img Image) {
	t.Helper()
	if runtime.GOOS != imageOS {
		t.Log("runs on Linux only")
		return
	}
	ctx, cancel := context.WithTimeout(bg, 3*time.Minute)
	defer cancel()
	addr := freeport.Address(t) // gofail does not say which port it took
	cmd := exec.CommandContext(ctx, img.Binaries["etcd"], "--data-dir", t.TempDir(),
		"--listen-client-urls", "http://127.0.0.1:0", "--advertise-client-urls", "http://127.0.0.1:0",
		"--listen-peer-urls", "http://127.0.0.1:0")
	cmd.Env = append(os.Environ(), "GOFAIL_HTTP="+addr)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	must(t, err)
	defer func() { must(t, log.Close()) }()
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	var want, got []string
	for _, p := range img.Failpoints {
		want = append(want, p.Name)
	}
	body, err := listed(ctx, "http://"+addr+"/", log.Name())
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("%v; etcd says:\n%s", err, tail(string(said)))
	}
	for line := range strings.Lines(body) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), "=")
		got = append(got, name)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("manifest (-) against the running etcd (+): %s", d)
	}
}

// listed is what an etcd that was just started lists. gofail serves before all
// packages have registered their points; etcd's first words come after that.
func listed(ctx context.Context, url, log string) (string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		st, err := os.Stat(log)
		if err == nil && st.Size() > 0 {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return "", err
			}
			resp, err := client.Do(req)
			if err != nil {
				return "", err
			}
			b, err := io.ReadAll(resp.Body)
			return string(b), errors.Join(err, resp.Body.Close())
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("no word from etcd: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
