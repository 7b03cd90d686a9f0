package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/etcdlab/etcdlab/lab"
)

// TestNobody runs commands as an ordinary user without an engine: labs of
// processes are root's, which is told, and is no failure of the tool's.
func TestNobody(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("missing: root, to become another user")
	}
	if err := os.MkdirAll(lab.RunRoot, 0o700); err != nil { // as after a first lab
		t.Fatal(err)
	}
	// Beside the directories of tests, which are for their user only.
	dir, err := os.MkdirTemp("", "nobody")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "etcdlab") // whose name makes it the command
	copyProgram(t, program)
	const nobody = 65534
	for args, want := range map[string]int{
		"up x": codeEnvironment, "run power-loss": codeEnvironment, "ls": 0, "down --all": 0,
		"inspect x": codeUsage, "crash x --fault kill": codeUsage, "up x --provider process": codeEnvironment, "scenarios": 0, "verify /nowhere": codeUsage,
	} {
		cmd := exec.Command(program, strings.Fields(args)...)
		cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("etcdlab %s: exit code %d, want %d:\n%s", args, got, want, out)
		}
		if want == codeEnvironment && !strings.Contains(string(out), "run etcdlab as root") {
			t.Errorf("etcdlab %s does not say what to do:\n%s", args, out)
		}
	}
}

func copyProgram(t *testing.T, to string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
