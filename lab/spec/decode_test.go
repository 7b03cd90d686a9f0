package spec

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

const example = `apiVersion: etcdlab.dev/v1alpha1
kind: Lab
name: demo
provider: process        # process | docker | vm | remote
etcd: {version: v3.7.3, failpoints: true, args: {snapshot-count: "100"}}
members: 3
disk: {kind: fault, fs: ext4, size: 1GiB, profile: honest-512}
`

func TestDecodeExample(t *testing.T) {
	got, err := Decode("lab.yaml", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	want := &Lab{
		APIVersion: APIVersion, Kind: Kind, Name: "demo", Provider: "process",
		Etcd:    Etcd{Version: "v3.7.3", Failpoints: &yes, Args: map[string]string{"snapshot-count": "100"}},
		Members: Members{{Name: "m1"}, {Name: "m2"}, {Name: "m3"}},
		Disk:    Disk{Kind: "fault", FS: "ext4", Size: 1 << 30, Profile: "honest-512"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestMessages decodes every testdata/*.yaml; the .err file beside it is the
// whole of the message.
func TestMessages(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Decode("lab.yaml", data)
			if err == nil {
				t.Fatal("decoded without an error")
			}
			var first *Error
			if !errors.As(err, &first) {
				t.Fatalf("%T holds no *Error", err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".err"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err2 := os.ReadFile(golden)
			if err2 != nil {
				t.Fatal(err2)
			}
			if d := cmp.Diff(string(want), err.Error()+"\n"); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAliases(t *testing.T) {
	got, err := Decode("lab.yaml", []byte(`
etcd: {args: &slow {quota-backend-bytes: 1_000, max-txn-ops: 0x10, unsafe-no-fsync: true}}
members:
  - {name: a, etcd: {args: *slow}}
  - name: &n b
    etcd: {version: &v v3.5.4}
  - {name: c, etcd: {version: *v}}
`))
	if err != nil {
		t.Fatal(err)
	}
	args := map[string]string{"quota-backend-bytes": "1_000", "max-txn-ops": "0x10", "unsafe-no-fsync": "true"}
	want := &Lab{
		Etcd: Etcd{Args: args},
		Members: Members{
			{Name: "a", Etcd: Etcd{Args: args}},
			{Name: "b", Etcd: Etcd{Version: "v3.5.4"}},
			{Name: "c", Etcd: Etcd{Version: "v3.5.4"}},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Each of these would take the parser, or a naive resolver of aliases, from
// minutes to for ever.
func TestHostileInput(t *testing.T) {
	bomb := "a0: &a0 [x, x]\n"
	for i := range 60 {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	bomb += "members: [*a60, *a60]\n"
	for name, input := range map[string]string{
		"aliases":     bomb,
		"self":        "etcd: &e {args: *e, env: *e}\nmembers: &m [*m, *m, *m]\n",
		"only itself": "etcd: &e *e\n",
		"flow":        strings.Repeat("{a: ", maxBytes/4),
		"brackets":    strings.Repeat("[", maxBytes),
		"few deep":    strings.Repeat("[", maxTokens-1),
		"block":       strings.Repeat("- ", maxBytes/2),
		"anchors":     strings.Repeat("&a ", maxBytes/3),
		"tags":        strings.Repeat("!a ", maxBytes/3),
		"quote":       `name: "` + strings.Repeat("x", maxBytes-10),
		"plain":       strings.Repeat("x y\n", maxBytes/4),
		"literal":     "name: |\n" + strings.Repeat("  x\n", maxBytes/4-4),
		"comments":    strings.Repeat("# x\n", maxBytes/4),
		"too big":     strings.Repeat(" ", maxBytes+1),
		"zero":        strings.Repeat("\x00", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := Decode("lab.yaml", []byte(input))
			if err == nil {
				t.Fatal("decoded without an error")
			}
			if n := len(err.Error()); n > 8000 {
				t.Errorf("the message has %d bytes", n)
			}
			t.Logf("%v: %.80s", time.Since(began).Round(time.Millisecond), err)
		})
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "lab.yaml")
	if err := os.WriteFile(file, []byte("etcd: {source: ../etcd, patches: [a.patch, builtin]}\nmembers: [{name: a, etcd: {source: /src}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lab, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(filepath.Dir(dir), "etcd"); lab.Etcd.Source != want {
		t.Errorf("source %s, want %s", lab.Etcd.Source, want)
	}
	if want := []string{filepath.Join(dir, "a.patch"), "builtin"}; !slices.Equal(lab.Etcd.Patches, want) {
		t.Errorf("patches %v, want %v", lab.Etcd.Patches, want)
	}
	if lab.Members[0].Etcd.Source != "/src" {
		t.Errorf("member's source %s", lab.Members[0].Etcd.Source)
	}
	if _, err := Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestLoadStdin(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func(in *os.File) { os.Stdin = in; r.Close() }(os.Stdin)
	os.Stdin = r
	if _, err := w.WriteString("name: 7\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	_, err = Load("-")
	if err == nil || !strings.HasPrefix(err.Error(), "stdin:1:7: ") {
		t.Errorf("got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(example))
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		lab, err := Decode("f", data)
		if err != nil {
			if err.Error() == "" || lab != nil {
				t.Fatalf("an error without words or with a lab: %v", lab)
			}
			return
		}
		roundTrip(t, lab)
		lab.Default()
		if err := lab.Validate(); err != nil {
			t.Fatalf("decoded, but not valid: %v", err)
		}
		roundTrip(t, lab)
	})
}
