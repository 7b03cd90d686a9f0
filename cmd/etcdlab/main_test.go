package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/etcdlab/etcdlab/lab/doctor"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"etcdlab": main})
}

// TestScripts runs the command line's scripts: one file a subject.
func TestScripts(t *testing.T) { scripts(t, "testdata/script") }

func scripts(t *testing.T, dir string) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "strike": strike, "datadir": dataDir, "spoil": spoil, "legs": legs,
		},
		Condition:     condition,
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			// Scripts share the machine's cache of etcd builds, but no lab state.
			e.Setenv("XDG_CACHE_HOME", cache)
			e.Setenv("XDG_STATE_HOME", e.WorkDir+"/state")
			e.Setenv("HOME", os.Getenv("HOME"))
			e.Setenv("GOFLAGS", os.Getenv("GOFLAGS"))
			// Names of labs are the machine's: each script has one of its own,
			// which is taken down however the script ends.
			name := fmt.Sprintf("ts%d-%s", os.Getpid(), filepath.Base(e.WorkDir)[len("script-"):])
			e.Setenv("LAB", name)
			e.Defer(func() {
				for _, p := range providersFor(nil) {
					if err := p.Down(context.Background(), name); err != nil {
						t.Error(err)
					}
				}
			})
			return nil
		},
	})
}

// exits runs a command and wants an exit code: exits CODE COMMAND [ARG...].
// What it printed is there for stdout and stderr to match.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		exit, ok := err.(*exec.ExitError)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// condition names what a script may need of the machine.
func condition(cond string) (bool, error) {
	switch cond {
	case "labs":
		return os.Geteuid() == 0 && doctor.Missing(doctor.For(context.Background(), "process", "ext4")) == nil, nil
	case "etcd":
		return cachedEtcd(context.Background()) != "", nil
	case "docker":
		return doctor.Missing(doctor.For(context.Background(), "docker", "")) == nil, nil
	}
	return false, fmt.Errorf("unknown condition %q", cond)
}
