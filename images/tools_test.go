package images

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdlab/etcdlab/disk/fs"
)

func TestLinksStayInTheRoot(t *testing.T) {
	root := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(root, "usr/lib/x"), 0o755))
	for name, to := range map[string]string{
		"lib": "usr/lib", "lib64": "/usr/lib", "usr/lib/a.so": "a.so.1", "usr/lib/up": "../../../../lib/x", "usr/lib/loop": "loop",
	} {
		must(t, os.Symlink(to, filepath.Join(root, name)))
	}
	l := &loader{root: root}
	for name, want := range map[string]string{
		"/lib/a.so": "/usr/lib/a.so.1", "/lib64/up/y": "/usr/lib/x/y", "/no/such": "/no/such", "/": "/", "/../lib": "/usr/lib",
	} {
		if got := l.real(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if l.isFile("/lib/loop") {
		t.Error("a loop of links is a file")
	}
	unpacked := &loader{root: t.TempDir()}
	write(t, unpacked.root, map[string]string{"usr/lib/b.so": ""})
	must(t, os.MkdirAll(filepath.Join(unpacked.root, "usr/lib64"), 0o755))
	must(t, os.Symlink("/lib/b.so", filepath.Join(unpacked.root, "usr/lib64/ld.so")))
	if got := unpacked.real("/lib64/ld.so"); got != "/usr/lib/b.so" {
		t.Errorf("without the links of a merged system: %s", got)
	}
}

func TestLoaderConfiguration(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{
		"etc/ld.so.conf":            "# a comment\ninclude /etc/ld.so.conf.d/*.conf\n/opt/lib # why\nhwcap 0 nosegneg\nrelative\n",
		"etc/ld.so.conf.d/b.conf":   "/b\n",
		"etc/ld.so.conf.d/a.conf":   "/a/\ninclude more/*.conf\n",
		"etc/ld.so.conf.d/c.txt":    "/c\n",
		"etc/ld.so.conf.d/more/.rc": "/d\n",
		// One that includes itself ends.
		"etc/ld.so.conf.d/more/self.conf": "include ../more/*.conf\n/self\n",
	})
	dirs := newLoader(root, "amd64").dirs
	want := []string{"/a", "/self", "/self", "/self", "/self", "/b", "/opt/lib", "/lib/x86_64-linux-gnu"}
	if d := cmp.Diff(want, dirs[:min(len(want), len(dirs))]); d != "" {
		t.Error(d)
	}
}

// A root that has a tool and not its libraries lacks what the tool makes, and
// one that has them in directories of its own has all that is needed.
func TestToolsOfARoot(t *testing.T) {
	needLinux(t)
	tool, err := fs.LookPath("mke2fs")
	if err != nil {
		t.Skip("missing: ", err)
	}
	why := func(tool, pkg string, err error) string {
		if err == nil {
			return "none"
		}
		return err.Error()
	}
	here := newLoader("", runtime.GOARCH)
	must(t, here.add(tool))
	if len(here.libs) == 0 {
		t.Skip("missing: an mke2fs that is linked dynamically")
	}
	root := t.TempDir()
	must(t, copyFile(tool, filepath.Join(root, "sbin/mke2fs")))
	tools, err := installed(root, runtime.GOARCH, why)
	must(t, err)
	if len(tools.Files) != 0 || !strings.Contains(tools.Lacks["ext4"], "cannot be found") || tools.Lacks["xfs"] != "none" {
		t.Errorf("without libraries: %+v", tools)
	}

	for lib, at := range here.libs {
		must(t, copyFile(here.host(at), filepath.Join(root, "opt/lib", lib)))
	}
	for _, name := range here.interpreters {
		must(t, copyFile(here.host(name), filepath.Join(root, name)))
	}
	write(t, root, map[string]string{"etc/ld.so.conf": "/opt/lib\n", "opt/lib/libother.so": "no ELF"})
	tools, err = installed(root, runtime.GOARCH, why)
	must(t, err)
	if tools.Lacks["ext4"] != "" || len(tools.Files) != 2+len(here.libs)+len(here.interpreters) {
		t.Errorf("with libraries: %+v", tools)
	}

	// The user may name such a root.
	s, err := Open(t.TempDir())
	must(t, err)
	t.Setenv(toolsEnv, root)
	named, err := s.Tools(bg, runtime.GOARCH)
	if err != nil || cmp.Diff(tools.Files, named.Files) != "" || !strings.Contains(named.Lacks["xfs"], "xfsprogs") {
		t.Errorf("named by the user: %+v, %v", named, err)
	}
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	if named, err := s.Tools(bg, other); err != nil || len(named.Files) != 0 || !strings.Contains(named.Lacks["ext4"], "not for "+other) {
		t.Errorf("of another architecture: %+v, %v", named, err)
	}
}

// What is gathered here works where there is nothing else.
func TestToolsRunAlone(t *testing.T) {
	needLinux(t)
	if os.Getuid() != 0 {
		t.Skip("missing: root, to change the root directory")
	}
	s, err := Open(t.TempDir())
	must(t, err)
	tools, err := s.Tools(bg, runtime.GOARCH)
	must(t, err)
	root := t.TempDir()
	for _, f := range tools.Files {
		at := filepath.Join(root, f.Name)
		if f.Link != "" {
			must(t, os.MkdirAll(filepath.Dir(at), 0o755))
			must(t, os.Symlink(f.Link, at))
			continue
		}
		must(t, copyFile(f.From, at))
		must(t, os.Chmod(at, f.Mode))
	}
	write(t, root, map[string]string{"proc/mounts": "", "proc/self/mounts": ""}) // mkfs.btrfs reads it
	for _, kind := range fs.Kinds() {
		if tools.Lacks[kind] != "" {
			continue
		}
		disk := filepath.Join(root, kind)
		must(t, os.WriteFile(disk, nil, 0o644))
		must(t, os.Truncate(disk, fs.MinimumSize(kind)))
		tool, _ := fs.Tool(kind)
		cmd := exec.Command("/usr/sbin/"+tool, "/"+kind)
		inRoot(cmd, root)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", tool, err, out)
		}
	}
}

func TestDependedLibraries(t *testing.T) {
	got := dependedLibraries("xfsprogs\n  Depends: libblkid1\n |Depends: libuuid1\n  PreDepends: libc6\n  Depends: <python3:any>\n    python3\n" +
		"  Depends: zlib1g\n  Suggests: libnone\ne2fsprogs\n  PreDepends: libc6\n")
	if d := cmp.Diff([]string{"libblkid1", "libuuid1", "libc6", "zlib1g"}, got); d != "" {
		t.Error(d)
	}
}

// Without apt there are no tools for other hosts, which is no failure.
func TestNoPackages(t *testing.T) {
	s, err := Open(t.TempDir())
	must(t, err)
	for name, script := range map[string]string{"no apt": "", "apt fails": "#!/bin/sh\necho E: no way >&2\nexit 100\n"} {
		dir := t.TempDir()
		if script != "" {
			must(t, os.WriteFile(filepath.Join(dir, "apt-get"), []byte(script), 0o755))
		}
		t.Setenv("PATH", dir)
		tools, err := s.Tools(bg, "mips64")
		must(t, err)
		if len(tools.Files) != 0 || len(tools.Lacks) != len(fs.Kinds()) || !strings.Contains(tools.Lacks["xfs"], "kind plain") {
			t.Errorf("%s: %+v", name, tools)
		}
		t.Log(tools.Lacks["xfs"])
	}
	if l := append(left(t, s.made()), left(t, s.tmp())...); len(l) != 0 {
		t.Errorf("left: %v", l)
	}
}
