package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"strings"
	"time"
)

// oldestGo builds etcd and etcdlab.
const oldestGo = "go1.26"

var goProbe = probe{"Go", []string{"images"}, oldestGo + " or later",
	"install it from https://go.dev/dl", goCommand}

// goCommand asks for the installed toolchain itself: GOTOOLCHAIN=local keeps
// the command from fetching another.
func goCommand(ctx context.Context) (string, error) {
	found, err := firstLine(ctx, []string{"GOTOOLCHAIN=local"}, "go", "env", "GOVERSION")
	if err == nil && version.Compare(found, oldestGo) < 0 {
		err = errLacking
	}
	return found, err
}

// firstLine runs a command, away from any go.mod, and gives its first line, or
// what it found out instead.
func firstLine(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = os.TempDir()
	cmd.WaitDelay = 100 * time.Millisecond
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "no " + name, errLacking
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	return strings.TrimSpace(string(line)), nil
}
