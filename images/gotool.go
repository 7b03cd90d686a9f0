package images

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// goTool is the go command of this machine.
type goTool struct {
	path       string
	version    string // of its own distribution, like go1.26.8
	toolchain  string // GOTOOLCHAIN: whether it may switch to another
	experiment string // GOEXPERIMENT
}

// errNoGo means that there is no go command in PATH.
var errNoGo = errors.New("no go command in PATH")

// findGo finds out about the go command without running it: a build whose
// result is cached should cost no process.
func findGo() (*goTool, error) {
	p, err := exec.LookPath("go")
	if err != nil {
		return nil, errNoGo
	}
	if p, err = filepath.Abs(p); err != nil {
		return nil, err
	}
	t := &goTool{path: p}
	root := os.Getenv("GOROOT")
	if root == "" {
		real, err := filepath.EvalSymlinks(p)
		if err != nil {
			return nil, err
		}
		root = filepath.Dir(filepath.Dir(real))
	}
	t.toolchain, t.experiment = goSetting("GOTOOLCHAIN", root), goSetting("GOEXPERIMENT", root)
	// A distribution may keep VERSION elsewhere, and a development tree has
	// none: only then ask the command.
	if b, err := os.ReadFile(filepath.Join(root, "VERSION")); err == nil {
		t.version, _, _ = strings.Cut(strings.TrimSpace(string(b)), "\n")
		return t, nil
	}
	out, err := exec.Command(p, "env", "GOVERSION").Output()
	if err != nil {
		return nil, fmt.Errorf("%s env GOVERSION: %w", p, err)
	}
	t.version = strings.TrimSpace(string(out))
	return t, nil
}

// goSetting is the go command's setting, from where it looks for it in this
// order: the environment, the file of `go env -w`, the distribution's go.env
// (see `go help environment`).
func goSetting(name, root string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	user := os.Getenv("GOENV")
	if user == "" {
		if dir, err := os.UserConfigDir(); err == nil {
			user = filepath.Join(dir, "go", "env")
		}
	}
	for _, file := range []string{user, filepath.Join(root, "go.env")} {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok && v != "" {
				return v
			}
		}
	}
	return ""
}
