package crash

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

func TestUnhealed(t *testing.T) {
	l := &lab.Lab{Name: "x", Dir: t.TempDir(), Spec: &spec.Lab{}}
	if all, err := List(l); err != nil || len(all) != 0 || whole(l) != nil {
		t.Fatalf("%v, %v", all, err)
	}
	first, err := bookOf(l).begin(Unhealed{Fault: "kill", Targets: []string{"m1"}, Seed: 7, RunDir: "runs/x"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := bookOf(l).begin(Unhealed{Fault: "power-loss", With: map[string]string{"cut": "torn"}, Targets: []string{"m2", "m3"}, Seed: 8})
	if err != nil {
		t.Fatal(err)
	}
	// What others keep there, and half a record, are none.
	for _, name := range []string{"lab.json", "unhealed-1-2.json.part"} {
		if err := os.WriteFile(filepath.Join(l.Dir, name), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := List(l)
	if err != nil || len(all) != 2 || all[0].Fault != "power-loss" || all[0].With["cut"] != "torn" || all[1].Seed != 7 {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := whole(l); err == nil || !strings.Contains(err.Error(), "still has power-loss of m2,m3") || !strings.Contains(err.Error(), "etcdlab heal x") {
		t.Error(err)
	}
	if err := second(); err != nil {
		t.Error(err)
	}
	if err := second(); err != nil {
		t.Errorf("removed twice: %v", err)
	}
	if all, _ := List(l); len(all) != 1 || all[0].Fault != "kill" {
		t.Errorf("%+v", all)
	}
	if err := first(); err != nil || whole(l) != nil {
		t.Error(err)
	}
}

func FuzzDecodeUnhealed(f *testing.F) {
	f.Add([]byte(`{"fault":"kill","targets":["m1"]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if u, err := decodeUnhealed(data); err == nil && (u.Fault == "" || len(u.Targets) == 0) {
			t.Errorf("%q is a record: %+v", data, u)
		}
	})
}
