package verify

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// TestMain lets the test binary be the child that reads corrupt files.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "inspect-data" {
		os.Exit(datadir.ChildMain(os.Args[2:], os.Stdout, os.Stderr))
	}
	wal.SegmentSizeBytes = 64 << 10 // several segments in a small log
	// Hundreds of small run directories are synced file by file; what is tested
	// is not the disk they are on.
	flag.Parse()
	var fs unix.Statfs_t
	if unix.Statfs("/dev/shm", &fs) == nil && fs.Bavail*uint64(fs.Bsize) > 1<<30 && flag.Lookup("test.bench").Value.String() == "" {
		_ = os.Setenv("TMPDIR", "/dev/shm")
	}
	goleak.VerifyTestMain(m)
}

func child(t testing.TB) []string {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{exe, "inspect-data"}
}

func write(t testing.TB, r *rungen.Run) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func judge(t testing.TB, dir string, exe []string) *Verdict {
	t.Helper()
	v, err := Verify(context.Background(), dir, Options{Exe: exe})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func check(v *Verdict, name string) *Check {
	for i := range v.Checks {
		if v.Checks[i].Name == name {
			return &v.Checks[i]
		}
	}
	return &Check{}
}

func show(v *Verdict) string {
	b, _ := json.MarshalIndent(v, "", "  ")
	return string(b)
}

// TestClean judges many runs in which nothing went wrong: with time-outs that
// were and were not applied, at once and later, foreign writers, older content.
func TestClean(t *testing.T) {
	n := uint64(220)
	if testing.Short() {
		n = 20
	}
	for seed := range n {
		o := rungen.Options{
			Seed: seed, Members: 1 + int(seed%2)*2, Clients: 1 + int(seed%9), Ops: 150 + int(seed%5)*120,
			Keys: 3 + int(seed%4)*9, Rounds: 1 + int(seed%3), Base: int(seed%3) * 15, Foreign: int(seed%4) * 4,
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rungen.Simulate(o)
			v := judge(t, write(t, r), nil)
			if v.Verdict != Pass || v.Operations != len(r.Ops) || v.Faults != o.Rounds {
				t.Fatalf("seed %d: %s", seed, show(v))
			}
		})
	}
}

// TestMoved judges a run, moves it, and judges it again.
func TestMoved(t *testing.T) {
	r := rungen.Simulate(rungen.Options{Seed: 5})
	r.Edit("", func(recs []rungen.Record) []rungen.Record { return recs[:len(recs)-5] })
	dir := write(t, r)
	var first []byte
	for i, exe := range [][]string{child(t), child(t), nil} {
		v := judge(t, dir, exe)
		if v.Verdict != Fail {
			t.Fatal(show(v))
		}
		if err := Write(dir, v); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, history.FileVerdict))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = b
		} else if string(b) != string(first) {
			t.Fatalf("the verdict changed:\n%s\n%s", first, b)
		}
		moved := filepath.Join(t.TempDir(), fmt.Sprint("elsewhere", i))
		if err := os.Rename(dir, moved); err != nil {
			t.Fatal(err)
		}
		dir = moved
	}
}
