package images

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An exported image has the tools for a machine that has none, and the image
// made with them is the same.
func TestToolsFromAnExportedImage(t *testing.T) {
	needLinux(t)
	s := agentStore(t, littleMain)
	etcd := fakeEtcd(t, runtime.GOARCH)
	want, err := s.Container(bg, etcd)
	must(t, err)
	tools, err := s.Tools(bg, runtime.GOARCH)
	must(t, err)
	file := filepath.Join(t.TempDir(), "member.tar")
	must(t, s.ExportContainer(bg, want, "docker", file, nil))

	t.Setenv(toolsEnv, file)
	other := agentStore(t, littleMain)
	for range 2 {
		got, err := other.Tools(bg, runtime.GOARCH)
		must(t, err)
		for i := range got.Files {
			got.Files[i].From = tools.Files[i].From
		}
		if d := cmp.Diff(tools.Files, got.Files); d != "" {
			t.Error(d)
		}
	}
	if c, err := other.Container(bg, etcd); err != nil || c.Reference != want.Reference {
		t.Errorf("made with them: %+v, %v, want %s", c, err, want.Reference)
	}
	wrong := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	if tools, err := other.Tools(bg, wrong); err != nil || len(want.Lacks) == 0 && !strings.Contains(tools.Lacks["ext4"], "not for "+wrong) {
		t.Errorf("for another architecture: %+v, %v", tools, err)
	}
}

func TestToolsFromNothing(t *testing.T) {
	s, err := Open(t.TempDir())
	must(t, err)
	file := filepath.Join(t.TempDir(), "x")
	must(t, os.WriteFile(file, []byte("no tar"), 0o644))
	for _, from := range []string{file, file + ".none"} {
		t.Setenv(toolsEnv, from)
		if _, err := s.Tools(bg, "amd64"); kindOf(err) != Usage || !strings.Contains(err.Error(), from) {
			t.Errorf("%s: %v", from, err)
		}
	}
}

// Whatever an image's entries are called, nothing is written elsewhere.
func TestUnpackStaysInside(t *testing.T) {
	top := t.TempDir()
	for name, entries := range map[string][]tar.Header{
		"up":            {{Name: "../../evil", Typeflag: tar.TypeReg}, {Name: "/sbin/x", Typeflag: tar.TypeReg}},
		"through":       {{Name: "d", Typeflag: tar.TypeSymlink, Linkname: "../.."}, {Name: "d/evil", Typeflag: tar.TypeReg}},
		"absolute":      {{Name: "d", Typeflag: tar.TypeSymlink, Linkname: top}, {Name: "d/evil", Typeflag: tar.TypeReg}},
		"a link's end":  {{Name: "d", Typeflag: tar.TypeSymlink, Linkname: top + "/evil"}, {Name: "d", Typeflag: tar.TypeReg}},
		"hard link":     {{Name: "e", Typeflag: tar.TypeLink, Linkname: "../../../../../../etc/passwd"}},
		"no such files": {{Name: "dev/null", Typeflag: tar.TypeChar}, {Name: "", Typeflag: tar.TypeReg}},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range entries {
			must(t, w.WriteHeader(&h))
		}
		must(t, w.Close())
		dir := filepath.Join(top, "a", "b", name)
		must(t, os.MkdirAll(filepath.Dir(dir), 0o755))
		t.Logf("%s: %v", name, unpack(bg, &b, dir))
		for _, d := range []string{top, filepath.Join(top, "a"), filepath.Join(top, "a", "b")} {
			if _, err := os.Lstat(filepath.Join(d, "evil")); err == nil {
				t.Errorf("%s: written to %s", name, d)
			}
		}
		if _, err := os.Lstat(filepath.Join(dir, "evil")); (err == nil) != (name == "up") {
			t.Errorf("%s: %v", name, err)
		}
		if b, err := os.ReadFile(filepath.Join(dir, "e")); err == nil && len(b) > 0 {
			t.Errorf("%s: took in a file of this machine", name)
		}
	}
}
