package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/images/imagetest"
)

// The trimmed program runs, and is smaller.
func TestTrimmedProgramRuns(t *testing.T) {
	etcd := imagetest.Etcd(t, "")
	whole := etcd.Binaries["etcd"]
	files, err := trimmed([]Entry{{Name: "usr/bin/etcd", Mode: 0o755, Path: whole}, {Name: "etc/x", Path: whole}}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if files[1].Path != whole {
		t.Error("what is no program was touched")
	}
	before, err := os.Stat(whole)
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(files[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	if after.Size() >= before.Size() {
		t.Errorf("%d bytes, were %d", after.Size(), before.Size())
	}
	if err := os.Chmod(files[0].Path, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(files[0].Path, "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), strings.TrimPrefix(etcd.Version, "v")) {
		t.Errorf("%v: %s", err, out)
	}
}

// A trace of a trimmed program still has names and lines.
func TestTrimmedProgramTraces(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte("package main\n\nfunc main() {\n\tpanic(1)\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", "p", "p.go")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("missing: the go command: %v: %s", err, out)
	}
	files, err := trimmed([]Entry{{Name: "usr/bin/p", Path: filepath.Join(dir, "p")}}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(files[0].Path, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, _ := exec.Command(files[0].Path).CombinedOutput(); !strings.Contains(string(out), "main.main()") || !strings.Contains(string(out), "p.go:4") {
		t.Errorf("the trace is %s", out)
	}
}

func FuzzTrim(f *testing.F) {
	f.Add(moduleOf("depends="))
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if out, err := trim(data); err == nil && len(out) > len(data) {
			t.Errorf("%d bytes of %d", len(out), len(data))
		}
	})
}
