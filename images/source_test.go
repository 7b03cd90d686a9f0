package images

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// etcdTree is the least that counts as an etcd tree.
func etcdTree() map[string]string {
	files := map[string]string{
		versionFile:      "package version\n\nvar (\n\tMinClusterVersion = \"3.0.0\"\n\tVersion = \"3.7.3\"\n)\n",
		"api/go.mod":     "module go.etcd.io/etcd/api/v3\n",
		"README.md":      "etcd\n",
		"server/main.go": body("main", "", "inServer"),
		"server/go.mod":  "module " + serverModule + "\n\nrequire (\n\tgo.etcd.io/etcd/api/v3 v3.7.2\n\tgo.etcd.io/bbolt v1.4.0\n)\n\nreplace go.etcd.io/etcd/api/v3 => ../api\n",
	}
	files["etcdctl/go.mod"] = "module " + ctlModule + "\n"
	files["etcdutl/go.mod"] = "module " + utlModule + "\n"
	return files
}

func TestBrokenTrees(t *testing.T) {
	for name, damage := range map[string]func(files map[string]string){
		"empty":                 func(f map[string]string) { clear(f) },
		"no server":             func(f map[string]string) { delete(f, "server/go.mod") },
		"no etcdutl":            func(f map[string]string) { delete(f, "etcdutl/go.mod") },
		"another project":       func(f map[string]string) { f["server/go.mod"] = "module example.test/server\n" },
		"no version":            func(f map[string]string) { f[versionFile] = "package version\n" },
		"too old":               func(f map[string]string) { f[versionFile] = "package version\nvar (\n\tVersion = \"3.4.1\"\n)\n" },
		"no version file":       func(f map[string]string) { delete(f, versionFile) },
		"go.mod does not parse": func(f map[string]string) { f["server/go.mod"] += "replace (\n" },
		"replaced by nothing":   func(f map[string]string) { f["server/go.mod"] += "replace go.etcd.io/bbolt => ../../bbolt\n" },
	} {
		t.Run(name, func(t *testing.T) {
			dir, files := t.TempDir(), etcdTree()
			damage(files)
			write(t, dir, files)
			if _, err := openSource(bg, dir); kindOf(err) != Usage || !strings.Contains(err.Error(), dir) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestHashOfTree(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "etcd")
	files := etcdTree()
	files["server/go.mod"] += "replace go.etcd.io/bbolt => ../../bbolt\n"
	write(t, dir, files)
	write(t, top, map[string]string{"bbolt/go.mod": "module go.etcd.io/bbolt\n", "bbolt/db.go": "package bbolt\n"})
	hash := func() string {
		s, err := openSource(bg, dir)
		must(t, err)
		return s.hash
	}
	before := hash()
	for _, c := range []struct {
		name    string
		changes bool
	}{
		{"etcd/README.md", false},
		{"etcd/server/server_test.go", false},
		{"etcd/server/default.etcd/member/wal/0.wal", false},
		{"etcd/.git/HEAD", false},
		{"etcd/bin/tool.go", false},
		{"etcd/server/testdata/x.go", false},
		{"bbolt/README.md", false},
		{"etcd/server/new.go", true},
		{"etcd/api/deep/er/new.go", true},
		{"etcd/server/go.sum", true},
		{"bbolt/new.go", true},
	} {
		write(t, top, map[string]string{c.name: "package x\n"})
		after := hash()
		if (after != before) != c.changes {
			t.Errorf("%s: changed %v, want %v", c.name, after != before, c.changes)
		}
		before = after
	}
	// What is embedded counts.
	write(t, dir, map[string]string{"server/ui/ui.go": "package ui\n\n//go:embed page.html\nvar page string\n"})
	before = hash()
	write(t, dir, map[string]string{"server/ui/page.html": "<p>"})
	if hash() == before {
		t.Error("an embedded file did not change the hash")
	}
	// Where a tree is does not matter.
	before = hash()
	moved := filepath.Join(t.TempDir(), "moved")
	must(t, os.Rename(top, moved))
	dir = filepath.Join(moved, "etcd")
	if hash() != before {
		t.Error("the hash depends on where the tree is")
	}
}

func TestCopiedTreeUsesItsOwnModules(t *testing.T) {
	top := t.TempDir()
	files := etcdTree()
	files["server/go.mod"] += "replace go.etcd.io/bbolt => ../../bbolt\n"
	write(t, filepath.Join(top, "etcd"), files)
	write(t, top, map[string]string{"bbolt/go.mod": "module go.etcd.io/bbolt\n"})
	s, err := openSource(bg, filepath.Join(top, "etcd"))
	must(t, err)
	to := t.TempDir()
	c, err := s.copyTo(bg, to)
	must(t, err)
	b, err := os.ReadFile(filepath.Join(c.dir, "server", "go.mod"))
	must(t, err)
	f, err := modfile.Parse("go.mod", b, nil)
	must(t, err)
	got := map[string]string{}
	for _, r := range f.Replace {
		got[r.Old.Path] = r.New.Path
	}
	for mod, want := range map[string]string{"go.etcd.io/etcd/api/v3": "../api", ctlModule: "../etcdctl", bboltModule: "../../outside/0"} {
		if got[mod] != want {
			t.Errorf("%s is replaced by %q, want %q", mod, got[mod], want)
		}
	}
	if _, ok := got[serverModule]; ok {
		t.Error("the server replaces itself")
	}
	if _, err := os.Stat(filepath.Join(c.dir, "README.md")); err == nil {
		t.Error("copied what was not hashed")
	}
}

func TestTreeThatChangesWhileItIsCopied(t *testing.T) {
	for name, change := range map[string]func(p string) error{
		"edited":  func(p string) error { return os.WriteFile(p, []byte("package other\n"), 0o644) },
		"removed": os.Remove,
	} {
		dir := t.TempDir()
		write(t, dir, etcdTree())
		s, err := openSource(bg, dir)
		must(t, err)
		must(t, change(filepath.Join(dir, "server", "main.go")))
		if _, err := s.copyTo(bg, t.TempDir()); !errors.Is(err, errChanged) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestListFailpointsOfTree(t *testing.T) {
	dir, made := t.TempDir(), 0
	write(t, dir, etcdTree())
	points, err := fakeStore(t, t.TempDir(), &made).ListFailpoints(bg, Request{Source: dir})
	if err != nil || len(points) != 1 || points[0].Name != "inServer" || made != 0 {
		t.Errorf("got %v, %v, %d builds", points, err, made)
	}
}

func TestPinSiblings(t *testing.T) {
	f, err := modfile.Parse("go.mod", []byte(`module go.etcd.io/etcd/server/v3

require (
	go.etcd.io/etcd/api/v3 v3.7.0-beta.0
	go.etcd.io/etcd/client/v2 v2.305.4
	go.etcd.io/raft/v3 v3.7.0
	golang.org/x/net v0.1.0
)

replace (
	go.etcd.io/etcd/api/v3 => ../api
	go.etcd.io/etcd/client/v2 => ../client/v2
	go.etcd.io/etcd/pkg/v3 => ../pkg
	golang.org/x/net => golang.org/x/net v0.2.0
)
`), nil)
	must(t, err)
	must(t, pinSiblings(f, "v3.8.0-alpha.0"))
	f.Cleanup()
	want := map[string]string{"go.etcd.io/etcd/api/v3": "v3.8.0-alpha.0", "go.etcd.io/etcd/client/v2": "v2.305.4", "go.etcd.io/raft/v3": "v3.7.0", "golang.org/x/net": "v0.1.0"}
	if len(f.Require) != len(want) {
		t.Errorf("%d requirements, want %d", len(f.Require), len(want))
	}
	for _, r := range f.Require {
		if want[r.Mod.Path] != r.Mod.Version {
			t.Errorf("requires %s", r.Mod)
		}
	}
	if len(f.Replace) != 1 || f.Replace[0].New.Version != "v0.2.0" {
		t.Errorf("replaces %v: want only the one that names a version", f.Replace)
	}
}
