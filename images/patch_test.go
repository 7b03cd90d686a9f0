package images

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPatchApplies(t *testing.T) {
	for name, c := range map[string]struct{ before, patch, after, wrong string }{
		"in place":  {"a\nb\nc\n", "@@ -1,3 +1,4 @@\n a\n+x\n b\n c\n", "a\nx\nb\nc\n", ""},
		"elsewhere": {"0\n1\n2\na\nb\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n", "0\n1\n2\na\nx\nc\n", ""},
		"the nearest place": {"a\nb\n1\n2\na\nb\n3\n4\n5\n6\na\nb\n", "@@ -4,2 +4,2 @@\n a\n-b\n+x\n",
			"a\nb\n1\n2\na\nx\n3\n4\n5\n6\na\nb\n", ""},
		"two hunks, both shifted": {"0\n0\na\nb\n1\n1\n1\nc\nd\n", "@@ -1,2 +1,3 @@\n a\n+x\n b\n@@ -6,2 +7,1 @@\n c\n-d\n",
			"0\n0\na\nx\nb\n1\n1\n1\nc\n", ""},
		"no newline at the end":          {"a\nb", "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n", "a\nc\n", ""},
		"a newline that is not":          {"a\nb", "@@ -1,2 +1,2 @@\n a\n-b\n+c\n", "", "hunk 1 of 1"},
		"not there":                      {"a\nb\nc\n", "@@ -1,3 +1,3 @@\n a\n-z\n+x\n c\n", "", "hunk 1 of 1 (@@ -1,3 +1,3 @@) does not apply"},
		"the second is before the first": {"c\nd\na\nb\n", "@@ -1,2 +1,3 @@\n a\n+x\n b\n@@ -3,2 +4,1 @@\n c\n-d\n", "", "hunk 2 of 2"},
		"a count that is wrong":          {"a\nb\n", "@@ -1,9 +1,9 @@\n a\n-b\n+c\n", "", "fragment"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, map[string]string{"server/f.go": c.before})
			p := Patch{"p", []byte("diff --git a/server/f.go b/server/f.go\n--- a/server/f.go\n+++ b/server/f.go\n" + c.patch)}
			err := p.apply(dir)
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("got %v, want %q", err, c.wrong)
				}
				return
			}
			must(t, err)
			if got, err := os.ReadFile(filepath.Join(dir, "server/f.go")); string(got) != c.after {
				t.Errorf("got %q, %v; want %q", got, err, c.after)
			}
		})
	}
}

func TestPatchMakesAndRemovesFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"server/gone.go": "a\n", "server/old.go": "a\nb\n"})
	p := Patch{"p", []byte(`diff --git a/server/gone.go b/server/gone.go
deleted file mode 100644
--- a/server/gone.go
+++ /dev/null
@@ -1 +0,0 @@
-a
diff --git a/server/new/n.go b/server/new/n.go
new file mode 100644
--- /dev/null
+++ b/server/new/n.go
@@ -0,0 +1,2 @@
+package n
+
diff --git a/server/old.go b/server/other.go
similarity index 50%
rename from server/old.go
rename to server/other.go
--- a/server/old.go
+++ b/server/other.go
@@ -1,2 +1,2 @@
 a
-b
+c
`)}
	must(t, p.apply(dir))
	for name, want := range map[string]string{"server/new/n.go": "package n\n\n", "server/other.go": "a\nc\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if l := left(t, filepath.Join(dir, "server")); len(l) != 2 {
		t.Errorf("there are %v", l)
	}
	if err := p.apply(dir); err == nil {
		t.Error("it applies twice")
	}
}

func TestBadPatches(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"tree/f": "a\n", "f": "a\n"})
	header := func(name string) string {
		return "diff --git a/" + name + " b/" + name + "\n--- a/" + name + "\n+++ b/" + name + "\n@@ -1 +1 @@\n-a\n+b\n"
	}
	for text, want := range map[string]string{
		"just words":       "no unified diff",
		header("client/x"): "client/x is not there; of a release only",
		header("../f"):     "escapes",
		"diff --git a/f b/f\nindex 1..2 100644\nBinary files a/f and b/f differ\n": "binary",
	} {
		if err := (Patch{"p", []byte(text)}).apply(filepath.Join(dir, "tree")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "f")); string(got) != "a\n" {
		t.Errorf("outside of the tree: %q, %v", got, err)
	}
	for name, want := range map[string]string{"nosuch": "before-apply-request", "no/such": "cannot be read", "no.patch": "cannot be read"} {
		if _, err := ReadPatches([]string{name}); kindOf(err) != Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPatchesAreInTheKey(t *testing.T) {
	made := 0
	s := fakeStore(t, t.TempDir(), &made)
	a, b := Patch{"a", []byte("one")}, Patch{"b", []byte("two")}
	seen := map[string]bool{}
	for _, set := range [][]Patch{nil, {a}, {b}, {a, b}, {b, a}, {{"ab", []byte("onetwo")}}} {
		img, err := s.Build(bg, Request{Version: "v3.5.4", Patches: set}, nil)
		must(t, err)
		if seen[img.Key] {
			t.Errorf("%v has the key of another", patchNames(set))
		}
		seen[img.Key] = true
	}
	img, err := s.Build(bg, Request{Version: "v3.5.4", Patches: []Patch{{"renamed", a.Diff}}}, nil)
	must(t, err)
	if !seen[img.Key] || made != len(seen) {
		t.Errorf("the same patch by another name was built again: %d builds", made)
	}
}

// A patch of a local tree brings a failpoint of its own.
func TestPatchedTreeHasItsFailpoints(t *testing.T) {
	dir, made := t.TempDir(), 0
	tree := etcdTree()
	write(t, dir, tree)
	s := fakeStore(t, t.TempDir(), &made)
	p := Patch{"more", []byte("diff --git a/server/more.go b/server/more.go\nnew file mode 100644\n--- /dev/null\n+++ b/server/more.go\n" +
		"@@ -0,0 +1,5 @@\n+package main\n+\n+func more() {\n+\t// gofail: var fromPatch struct{}\n+}\n")}
	points, err := s.ListFailpoints(bg, Request{Source: dir, Patches: []Patch{p}})
	must(t, err)
	if len(points) != 2 || points[0].Name != "fromPatch" {
		t.Errorf("got %v", points)
	}
	if _, err := os.Stat(filepath.Join(dir, "server/more.go")); err == nil {
		t.Error("the user's own tree was changed")
	}
	p.Diff = []byte(strings.Replace(string(p.Diff), "+1,5", "+1,6", 1))
	if _, err := s.ListFailpoints(bg, Request{Source: dir, Patches: []Patch{p}}); kindOf(err) != Usage || !strings.Contains(err.Error(), "patch more does not fit") {
		t.Errorf("a broken patch: %v", err)
	}
}

func FuzzPatch(f *testing.F) {
	for _, p := range BuiltinPatches() {
		patches, err := ReadPatches([]string{p})
		if err != nil {
			f.Fatal(err)
		}
		f.Add("a\nb\n", patches[0].Diff)
	}
	f.Add("a\nb\nc", []byte("--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n\\ No newline at end of file\n"))
	f.Fuzz(func(t *testing.T, text string, diff []byte) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "outside"), nil, 0o644))
		must(t, os.Mkdir(filepath.Join(dir, "tree"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "tree", "f"), []byte(text), 0o644))
		_ = Patch{"p", diff}.apply(filepath.Join(dir, "tree"))
		if l := left(t, dir); len(l) != 2 {
			t.Errorf("beside the tree: %v", l)
		}
	})
}
