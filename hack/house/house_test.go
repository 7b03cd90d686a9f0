// Package house owns the test that the house's arrows point down only; see
// docs/architecture.md.
package house

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/etcdlab/etcdlab/"

// mayImport says what of ours a package may import, tests included; what is not
// listed may import anything below it. The first prefix that fits counts.
var mayImport = []struct {
	dir     string
	allowed []string
}{
	{"disk", []string{"disk", "internal"}},
	{"internal", []string{"internal"}},
	{"lab/spec", nil},
	{"crash/history", []string{"internal", "disk", "crash/history"}},
	{"images", []string{"images", "internal", "disk/fs", ""}}, // "" is the embedded source
	{"lab/process", []string{"lab", "images", "disk", "internal", "-lab/docker", "-lab/vm"}},
	{"lab/docker", []string{"lab", "images", "disk", "internal", "", "-lab/process", "-lab/vm"}},
	{"lab/vm", []string{"lab", "images", "disk", "internal", "", "-lab/process", "-lab/docker"}},
	{"lab", []string{"lab", "images", "disk", "internal", ""}},
	{"crash", []string{"crash", "lab", "images", "disk", "internal"}},
}

func TestArrowsPointDown(t *testing.T) {
	seen := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		rel, err := filepath.Rel("../..", path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		for _, i := range file.Imports {
			name, _ := strconv.Unquote(i.Path.Value)
			if to, ours := strings.CutPrefix(name+"/", module); ours {
				seen++
				if to = strings.TrimSuffix(to, "/"); to != dir && !allowed(dir, to) {
					t.Errorf("%s imports %s: not with the house", rel, to)
				}
			}
		}
		return nil
	})
	if err != nil || seen < 500 {
		t.Fatalf("saw %d imports: %v", seen, err)
	}
}

func allowed(dir, to string) bool {
	for _, m := range mayImport {
		if !under(dir, m.dir) {
			continue
		}
		ok := false
		for _, a := range m.allowed {
			if not, deny := strings.CutPrefix(a, "-"); deny && under(to, not) {
				return false
			}
			ok = ok || a == "" && to == "" || a != "" && under(to, a)
		}
		return ok
	}
	return true
}

func under(dir, root string) bool { return dir == root || strings.HasPrefix(dir, root+"/") }

func TestAllowed(t *testing.T) {
	for arrow, want := range map[[2]string]bool{
		{"disk/dm", "images/guest"}: false, {"disk/nbd", "disk"}: true, {"lab/vm", "lab/docker"}: false,
		{"lab/vm", "lab/agent"}: true, {"lab/spec", "disk"}: false, {"images", "lab"}: false,
		{"lab/agent", "crash"}: false, {"cmd/etcdlab", "crash"}: true, {"labx", "crash"}: true,
	} {
		if got := allowed(arrow[0], arrow[1]); got != want {
			t.Errorf("%v: %v", arrow, got)
		}
	}
}
