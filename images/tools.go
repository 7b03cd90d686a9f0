package images

import (
	"context"
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/etcdlab/etcdlab/disk/fs"
)

// Tools are the programs that members' hosts of an architecture need beside
// etcd and the agent: those that make file systems, with their libraries.
type Tools struct {
	Files []File
	// Lacks says, for each kind of file system that the tools cannot make, why.
	Lacks map[string]string
}

// Tools gives the tools for hosts of that architecture: those that
// $ETCDLAB_TOOLS names, or this machine's own if it is such a host, or else
// those of Debian's packages.
func (s *Store) Tools(ctx context.Context, arch string) (Tools, error) {
	if from := os.Getenv(toolsEnv); from != "" {
		return s.namedTools(ctx, from, arch)
	}
	if runtime.GOOS == imageOS && runtime.GOARCH == arch {
		return installed("", arch, func(tool, pkg string, err error) string {
			if err != nil {
				return fmt.Sprintf("the %s of this machine cannot be copied: %v", tool, err)
			}
			return fmt.Sprintf("%s is not installed on this machine: install the Debian package %s", tool, pkg)
		})
	}
	return s.packagedTools(ctx, arch)
}

// installed gathers the tools below a root ("" is this machine). why words a
// lack.
func installed(root, arch string, why func(tool, pkg string, err error) string) (Tools, error) {
	l := newLoader(root, arch)
	t := Tools{Lacks: map[string]string{}}
	for _, kind := range fs.Kinds() {
		tool, pkg := fs.Tool(kind)
		at, ok := l.tool(tool)
		if !ok {
			t.Lacks[kind] = why(tool, pkg, nil)
			continue
		}
		if err := l.accept(at, arch); err != nil {
			t.Lacks[kind] = why(tool, pkg, err)
			continue
		}
		t.Files = append(t.Files, File{Name: "/usr/sbin/" + tool, From: l.host(at), Mode: 0o755})
		if tool == "mke2fs" {
			t.Files = append(t.Files, File{Name: "/usr/sbin/mkfs.ext4", Link: tool, Mode: 0o777})
			if conf := "/etc/mke2fs.conf"; l.isFile(conf) {
				t.Files = append(t.Files, File{Name: conf, From: l.host(conf), Mode: 0o644})
			}
		}
	}
	var err error
	t.Files, err = sum(append(t.Files, l.files()...))
	return t, err
}

// tool finds a program below the root.
func (l *loader) tool(name string) (string, bool) {
	if l.root == "" {
		at, err := fs.LookPath(name)
		if err != nil {
			return "", false
		}
		at, err = filepath.Abs(at)
		return at, err == nil
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"} {
		if l.isFile(dir + name) {
			return dir + name, true
		}
	}
	return "", false
}

// accept adds a program if it is for the architecture.
func (l *loader) accept(name, arch string) error {
	f, err := elf.Open(l.host(name))
	if err != nil {
		return err
	}
	defer f.Close()
	if want, ok := machines[arch]; ok && f.Machine != want {
		return fmt.Errorf("it is for %v, not for %s", f.Machine, arch)
	}
	return l.add(name)
}

// keep copies the tools to out/root.
func (t Tools) keep(out string) error {
	for _, f := range t.Files {
		if f.Link != "" {
			continue
		}
		if err := copyFile(f.From, filepath.Join(out, "root", filepath.FromSlash(f.Name))); err != nil {
			return err
		}
	}
	return nil
}

// keptTools reads back what keep copied and the manifest says.
func keptTools(a Artifact) (t Tools, err error) {
	if err := json.Unmarshal(a.Facts, &t); err != nil {
		return Tools{}, err
	}
	for i, f := range t.Files {
		if f.Link == "" {
			t.Files[i].From = a.Path("root" + f.Name)
		}
	}
	return t, nil
}
