package verify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// A run directory that was copied in part must not be judged as if etcd had left
// it so.
func TestDamagedCopy(t *testing.T) {
	r := rungen.Simulate(rungen.Options{Seed: 3, Ops: 300})
	dir := write(t, r)
	for i := range r.Final.Members {
		f := &r.Final.Members[i]
		sizes, err := history.Sizes(history.Dir(dir).Path(history.DirMembers, f.Name))
		if err != nil || len(sizes) < 3 {
			t.Fatal(sizes, err)
		}
		f.Files = sizes
	}
	if err := history.WriteFinal(dir, r.Final); err != nil {
		t.Fatal(err)
	}
	if v := judge(t, dir, nil); v.Verdict != Pass {
		t.Fatalf("as it was collected: %s: %s", v.Verdict, v.Reason)
	}
	name := r.Final.Members[1].Name
	for what, damage := range map[string]func(path string) error{
		"gone":  os.Remove,
		"empty": func(path string) error { return os.Truncate(path, 0) },
	} {
		for _, file := range []string{history.Dir(dir).Log(name), segments(t, dir, name)[0], filepath.Join(history.Dir(dir).Data(name), "member", "snap", "db")} {
			whole, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(whole) == 0 {
				continue
			}
			if err := damage(file); err != nil {
				t.Fatal(err)
			}
			if v := judge(t, dir, nil); v.Verdict != Inconclusive || !strings.Contains(check(v, checkDisk).Detail, "not as the run left them") {
				t.Errorf("%s %s: %s: %s", filepath.Base(file), what, v.Verdict, v.Reason)
			}
			if err := os.WriteFile(file, whole, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
