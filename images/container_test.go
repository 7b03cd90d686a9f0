package images

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk/fs"
)

// fakeEtcd is an etcd build that is none, for that architecture.
func fakeEtcd(t *testing.T, arch string) Image {
	t.Helper()
	made := 0
	return mustBuild(t, fakeStore(t, t.TempDir(), &made), Request{Version: "v3.5.4", Arch: arch})
}

func needLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != imageOS {
		t.Skip("missing: Linux, whose tools go into the image")
	}
}

func TestContainerImageIsTheSameAnywhere(t *testing.T) {
	needLinux(t)
	etcd := fakeEtcd(t, runtime.GOARCH)
	var first Container
	var bytes1 []byte
	for i := range 2 {
		s := agentStore(t, littleMain)
		c, err := s.Container(bg, etcd)
		must(t, err)
		b, err := os.ReadFile(c.Archive)
		must(t, err)
		if i == 0 {
			first, bytes1 = c, b
		} else if !bytes.Equal(bytes1, b) || c.ID != first.ID || c.Reference != first.Reference || c.Key != first.Key {
			t.Errorf("two caches have two images: %+v and %+v", first, c)
		}
		s.Progress = func(line string) { t.Errorf("told %q", line) }
		if again, err := s.Container(bg, etcd); err != nil || again.Archive != c.Archive {
			t.Errorf("the second time: %+v, %v", again, err)
		}
	}
	t.Logf("%s is %d KiB", first.Reference, len(bytes1)>>10)
}

// engine gives the docker command if there is an engine.
func engine(t *testing.T) func(args ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("makes a real container image, which -short leaves out")
	}
	if out, err := exec.Command("docker", "version", "--format", "{{.Server.Os}}/{{.Server.Arch}}").CombinedOutput(); err != nil {
		t.Skipf("missing: a Docker engine: %v: %s", err, out)
	} else if got := strings.TrimSpace(string(out)); got != imageOS+"/"+runtime.GOARCH {
		t.Skipf("missing: a Docker engine of this machine's kind: it is %s", got)
	}
	return func(args ...string) string {
		out, err := exec.Command("docker", args...).CombinedOutput()
		if err != nil {
			t.Errorf("docker %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
}

func TestContainerRuns(t *testing.T) {
	docker := engine(t)
	etcd := realBuild(t, testStore(t), Request{Version: DefaultVersion})
	// An agent of its own makes it an image that no lab runs: the tag names the
	// contents, and removing it must not take anybody's.
	s := agentStore(t, fmt.Sprintf("%s// %d\n", littleMain, os.Getpid()))
	_, err := s.Agent(bg, "")
	must(t, err)
	start := time.Now()
	c, err := s.Container(bg, etcd)
	must(t, err)
	st, err := os.Stat(c.Archive)
	must(t, err)
	t.Logf("%s: %d MiB in %v; lacks %v", c.Reference, st.Size()>>20, time.Since(start).Round(time.Millisecond), c.Lacks)

	start = time.Now()
	docker("load", "-i", c.Archive)
	t.Cleanup(func() { docker("rmi", c.Reference) })
	t.Logf("loaded in %v", time.Since(start).Round(time.Millisecond))
	var inspected []struct {
		ID       string `json:"Id"`
		Config   struct{ Labels map[string]string }
		RepoTags []string
	}
	must(t, json.Unmarshal([]byte(docker("inspect", c.Reference)), &inspected))
	if len(inspected) != 1 || inspected[0].ID != c.ID || inspected[0].Config.Labels["dev.etcdlab.etcd"] != etcd.Key {
		t.Errorf("the engine has %+v, made was %+v", inspected, c)
	}
	run := func(entry string, args ...string) string {
		return docker(append([]string{"run", "--rm", "--network=none", "--entrypoint", entry, c.Reference}, args...)...)
	}
	version := strings.TrimPrefix(DefaultVersion, "v")
	for _, x := range []struct {
		want string
		line []string
	}{
		{"etcd Version: " + version, []string{"/usr/bin/etcd", "--version"}},
		{"etcdctl version: " + version, []string{"/usr/bin/etcdctl", "version"}},
		{"etcdutl version: " + version, []string{"/usr/bin/etcdutl", "version"}},
		{"source-", []string{"/usr/bin/etcdlab"}},
	} {
		if out := run(x.line[0], x.line[1:]...); !strings.Contains(out, x.want) {
			t.Errorf("%v says %q", x.line, out)
		}
	}
	// The tools make file systems there, not only say who they are.
	dir := t.TempDir()
	for _, kind := range fs.Kinds() {
		if c.Lacks[kind] != "" {
			continue
		}
		must(t, os.WriteFile(filepath.Join(dir, kind), nil, 0o666))
		must(t, os.Truncate(filepath.Join(dir, kind), fs.MinimumSize(kind)))
		tool, _ := fs.Tool(kind)
		out := docker("run", "--rm", "--network=none", "-v", dir+":/disks", "--entrypoint", "/usr/sbin/"+tool, c.Reference, "/disks/"+kind)
		t.Logf("%s says %d bytes", tool, len(out))
	}
}

// Tools and images for hosts of another kind, from Debian's packages.
func TestContainerOfAnotherArchitecture(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches packages, which -short leaves out")
	}
	arch := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	s := agentStore(t, littleMain)
	start := time.Now()
	c, err := s.Container(bg, fakeEtcd(t, arch))
	must(t, err)
	t.Logf("%+v in %v", c, time.Since(start).Round(time.Millisecond))
	if len(c.Lacks) > 0 {
		t.Skipf("missing: Debian packages for %s: %v", arch, c.Lacks)
	}
	tools, err := s.Tools(bg, arch)
	must(t, err)
	for _, f := range tools.Files {
		if f.Link != "" || strings.HasPrefix(f.Name, "/etc/") {
			continue
		}
		e, err := elf.Open(f.From)
		must(t, err)
		if e.Machine != machines[arch] {
			t.Errorf("%s is for %v", f.Name, e.Machine)
		}
		must(t, e.Close())
	}
}
