package images

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// goCommand runs the go command with the settings of one build.
type goCommand struct {
	path string
	env  []string
}

// fixed are settings of the user's that would change the binaries without being
// in the key, or make the build fail. Proxies, caches and the checksum database
// stay as the user has them.
var fixed = []string{"GOFLAGS", "GOWORK", "GO111MODULE", "CGO_ENABLED", "GOOS", "GOARCH", "GOAMD64", "GOARM64",
	"GOFIPS140", "GODEBUG", "GOTMPDIR", "PWD"}

// command gives the go command for binaries of that architecture. A killed one
// leaves its own temporary files in tmp.
func (t *goTool) command(arch, tmp string) goCommand {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(fixed, name)
	})
	// -mod=mod: a module outside its repository lacks the checksums of its
	// siblings, and the go command may add them to the copy.
	flags := "-mod=mod -buildvcs=false"
	if strings.Contains(os.Getenv("GOFLAGS"), "-modcacherw") {
		flags += " -modcacherw" // about the user's module cache, not about the result
	}
	// What is set to its default here might be set otherwise by `go env -w`.
	return goCommand{t.path, append(env, "GOFLAGS="+flags, "GOWORK=off", "GO111MODULE=on", "CGO_ENABLED=0",
		"GOOS="+imageOS, "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off", "GOTMPDIR="+tmp)}
}

// goError is a go command that failed.
type goError struct {
	args   []string
	output string // the end of stderr (of stdout, if that is all there is)
	err    error
}

func (e *goError) Error() string {
	return fmt.Sprintf("go %s: %v", strings.Join(e.args, " "), e.err)
}

func (e *goError) Unwrap() error { return e.err }

// run runs the go command in dir and gives its standard output. When ctx ends,
// the command dies with all its children.
func (c goCommand) run(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.path, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, c.env, &stdout, &stderr
	// A child that left the process group may still hold the pipes.
	cmd.WaitDelay = 5 * time.Second
	if err := runGroup(cmd); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		text := stderr.String()
		if strings.TrimSpace(text) == "" {
			text = stdout.String()
		}
		return stdout.Bytes(), &goError{args: args, output: tail(text), err: err}
	}
	return stdout.Bytes(), nil
}

// tail is the last lines of a command's output, as much as one reads.
func tail(s string) string {
	const keep = 15
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if len(lines) > keep {
		lines = append([]string{fmt.Sprintf("(%d lines before)", len(lines)-keep)}, lines[len(lines)-keep:]...)
	}
	return strings.Join(lines, "\n")
}
