package images

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFindGoKnowsWhatGoSays(t *testing.T) {
	tool, err := findGo()
	if err != nil {
		t.Skip("needs the go command: ", err)
	}
	for _, c := range []struct{ name, got string }{{"GOTOOLCHAIN", tool.toolchain}, {"GOEXPERIMENT", tool.experiment}} {
		out, err := exec.Command(tool.path, "env", c.name).Output()
		if want := strings.TrimSpace(string(out)); err != nil || c.got != want {
			t.Errorf("%s: got %q, want %q, %v", c.name, c.got, want, err)
		}
	}
	cmd := exec.Command(tool.path, "env", "GOVERSION")
	cmd.Env = append(cmd.Environ(), "GOTOOLCHAIN=local")
	out, err := cmd.Output()
	if want := strings.TrimSpace(string(out)); err != nil || tool.version != want {
		t.Errorf("got %q, want %q, %v", tool.version, want, err)
	}
}

func TestGoSetting(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"user": "GOPROXY=off\nGOTOOLCHAIN=go1.99\n", "root/go.env": "# defaults\nGOTOOLCHAIN=auto\nGOSUMDB=x\n"})
	root := filepath.Join(dir, "root")
	t.Setenv("GOENV", filepath.Join(dir, "user"))
	t.Setenv("GOTOOLCHAIN", "")
	t.Setenv("GOSUMDB", "")
	for _, c := range []struct{ env, name, want string }{
		{"", "GOTOOLCHAIN", "go1.99"}, {"local", "GOTOOLCHAIN", "local"}, {"", "GOSUMDB", "x"}, {"", "GONOTHING", ""},
	} {
		t.Setenv(c.name, c.env)
		if got := goSetting(c.name, root); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	t.Setenv("GOENV", "off")
	t.Setenv("GOTOOLCHAIN", "")
	if got := goSetting("GOTOOLCHAIN", root); got != "auto" {
		t.Errorf("GOENV=off: got %q", got)
	}
}

func TestUsersGoFlagsDoNotLeakIn(t *testing.T) {
	t.Setenv("GOFLAGS", "-mod=vendor -tags=x -modcacherw")
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOARCH", "mips")
	env := (&goTool{}).command("arm64", "/tmp/x").env
	for _, want := range []string{"GOFLAGS=-mod=mod -buildvcs=false -modcacherw", "GOPROXY=off", "GOARCH=arm64", "GOOS=linux", "CGO_ENABLED=0", "GOTMPDIR=/tmp/x"} {
		name, _, _ := strings.Cut(want, "=")
		var got []string
		for _, kv := range env {
			if strings.HasPrefix(kv, name+"=") {
				got = append(got, kv)
			}
		}
		if !slices.Equal(got, []string{want}) {
			t.Errorf("got %v, want %s once", got, want)
		}
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	got := strings.Split(tail(strings.Repeat("x\n", 40)+"end\n"), "\n")
	if len(got) != 16 || got[0] != "(26 lines before)" || got[15] != "end" {
		t.Errorf("got %q", got)
	}
	if got := tail("one\n"); got != "one" {
		t.Errorf("got %q", got)
	}
}

// The real go command against proxies that fail: what a user is told, and with
// which exit code, depends on its words.
func TestDownloadErrors(t *testing.T) {
	if _, err := findGo(); err != nil {
		t.Skip("needs the go command: ", err)
	}
	status := func(code int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(s.Close)
		return s.URL
	}
	t.Setenv("GOMODCACHE", t.TempDir())
	t.Setenv("GOSUMDB", "off")
	t.Setenv("GONOSUMDB", "")
	t.Setenv("GONOPROXY", "none")
	for name, c := range map[string]struct {
		proxy string
		want  Kind
	}{
		"unknown version":   {status(http.StatusNotFound), Usage},
		"withdrawn version": {status(http.StatusGone), Usage},
		"empty directory":   {"file://" + t.TempDir(), Usage},
		"proxy is broken":   {status(http.StatusBadGateway), Environment},
		"no network":        {"http://127.0.0.1:1", Environment},
		"no such proxy":     {"http://proxy.invalid", Environment},
		"proxy is off":      {"off", Environment},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOPROXY", c.proxy)
			s, err := Open(t.TempDir())
			must(t, err)
			for op, err := range map[string]error{
				"build": second(s.Build(bg, Request{Version: "v3.7.99"}, nil)),
				"list":  second(s.ListFailpoints(bg, Request{Version: "v3.7.99"})),
			} {
				var e *Error
				if !errors.As(err, &e) || e.Kind != c.want || e.Next == "" || !strings.Contains(err.Error(), "v3.7.99") {
					t.Errorf("%s: got kind %d: %v", op, kindOf(err), err)
				}
			}
			if l := append(left(t, s.images()), left(t, s.tmp())...); len(l) != 0 {
				t.Errorf("left: %v", l)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestExplain(t *testing.T) {
	release, tree := plan{in: Inputs{Version: "v3.7.3"}}, plan{source: &source{}}
	for _, c := range []struct {
		plan   plan
		args   string
		output string
		want   Kind
		says   string
	}{
		{release, "build .", "go: go.mod requires go >= 1.27.0 (running go 1.26.8; GOTOOLCHAIN=local)", Environment, "needs Go 1.27.0"},
		{tree, "build .", "go: go.mod requires go >= 1.27.0 (running go 1.26.8; GOTOOLCHAIN=local)", Environment, "needs Go 1.27.0"},
		{release, "build .", "go: unsupported GOOS/GOARCH pair linux/vax", Usage, "linux/vax"},
		{release, "build .", "main.go:1:2: undefined: x", Build, "failed"},
		{tree, "build .", "main.go:1:2: undefined: x", Usage, "does not compile"},
		{tree, "build .", "main.go:9:1: syntax error: unexpected EOF, expecting }", Usage, "does not compile"},
		{tree, "build .", `main.go:3:8: x.test/y@v1.0.0: Get "https://proxy/x": dial tcp: lookup proxy: no such host`, Environment, "cannot reach"},
	} {
		k := &kitchen{plan: c.plan}
		err := k.explain(&goError{args: strings.Fields(c.args), output: c.output, err: errors.New("exit status 1")})
		if kindOf(err) != c.want || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.output) {
			t.Errorf("%s: got kind %d: %v", c.output, kindOf(err), err)
		}
	}
}
