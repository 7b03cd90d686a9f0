package images

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/etcdlab/etcdlab"
)

// little is a module that compiles in a moment.
func little(main string) fstest.MapFS {
	return fstest.MapFS{
		"go.mod":                       {Data: []byte("module example.test/little\n\ngo 1.24\n")},
		"cmd/etcdlab/main.go":          {Data: []byte(main)},
		"cmd/etcdlab/main_test.go":     {Data: []byte("not Go")},
		"cmd/etcdlab/testdata/data.go": {Data: []byte("not Go")},
	}
}

const littleMain = "package main\n\nvar version string\n\nfunc main() { println(version) }\n"

func agentStore(t *testing.T, main string) *Store {
	t.Helper()
	if _, err := findGo(); err != nil {
		t.Skip("missing: ", err)
	}
	s, err := Open(t.TempDir())
	must(t, err)
	s.AgentSource = little(main)
	s.Progress = func(line string) { t.Log(line) }
	return s
}

func TestAgentIsBuiltOnce(t *testing.T) {
	s := agentStore(t, littleMain)
	first, err := s.Agent(bg, "")
	must(t, err)
	s.Progress = func(line string) { t.Errorf("told %q", line) }
	again, err := s.Agent(bg, runtime.GOARCH)
	if err != nil || again != first {
		t.Errorf("the second time: %s, %v", again, err)
	}
	if runtime.GOOS == imageOS {
		out, err := exec.Command(first).CombinedOutput()
		_, hash, hashErr := agentFiles(s.AgentSource)
		must(t, hashErr)
		if err != nil || strings.TrimSpace(string(out)) != "source-"+hash[:12] {
			t.Errorf("it says %q, %v", out, err)
		}
	}

	// Tests do not count, sources do.
	source := little(littleMain)
	source["cmd/etcdlab/main_test.go"].Data = []byte("still not Go")
	s.AgentSource = source
	if same, err := s.Agent(bg, ""); err != nil || same != first {
		t.Errorf("after a change of a test: %s, %v", same, err)
	}
	s.Progress, s.AgentSource = nil, little(strings.Replace(littleMain, "{ println(version) }", "{ print(version)   }", 1))
	if other, err := s.Agent(bg, ""); err != nil || other == first {
		t.Errorf("after a change of the source: %s, %v", other, err)
	}
	if all, err := s.Artifacts(); err != nil || len(all) != 2 {
		t.Errorf("%d artifacts, %v", len(all), err)
	}

	// Without a go command, what is there serves.
	t.Setenv("PATH", t.TempDir())
	s.AgentSource = little(littleMain)
	if same, err := s.Agent(bg, ""); err != nil || same != first {
		t.Errorf("without go: %s, %v", same, err)
	}
	if _, err := s.Agent(bg, "riscv64"); kindOf(err) != Environment || !errors.Is(err, errNoGo) {
		t.Errorf("without go, another architecture: %v", err)
	}
}

func TestAgentErrors(t *testing.T) {
	s := agentStore(t, "package main\n\nfunc main() { nonsense }\n")
	for name, c := range map[string]struct {
		arch string
		kind Kind
		want string
	}{
		"does not compile":     {"", Build, "nonsense"},
		"no such architecture": {"z80", Usage, "z80"},
	} {
		_, err := s.Agent(bg, c.arch)
		if kindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if l := append(left(t, s.made()), left(t, s.tmp())...); len(l) != 0 {
		t.Errorf("left: %v", l)
	}
	// What is needed and cannot be reached is named.
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOMODCACHE", t.TempDir())
	source := little("package main\n\nimport _ \"example.test/other\"\n\nfunc main() {}\n")
	source["go.mod"].Data = append(source["go.mod"].Data, "\nrequire example.test/other v1.0.0\n"...)
	source["go.sum"] = &fstest.MapFile{Data: []byte("example.test/other v1.0.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n" +
		"example.test/other v1.0.0/go.mod h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")}
	s.AgentSource = source
	if _, err := s.Agent(bg, ""); kindOf(err) != Environment || !strings.Contains(err.Error(), "GOPROXY") {
		t.Errorf("without a network: %v", err)
	}
	s.AgentSource = nil
	if _, err := s.Agent(bg, ""); kindOf(err) != Build {
		t.Errorf("without a source: %v", err)
	}
}

// The real agent. That of another architecture takes a minute to build where
// nothing was built for it, and is for the long tests.
func TestAgentOfThisSource(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles etcdlab, which -short leaves out")
	}
	p := realAgent(t, runtime.GOARCH)
	if runtime.GOOS != imageOS {
		return
	}
	if out, err := exec.Command(p, "--version").CombinedOutput(); err != nil || !strings.Contains(string(out), "source-") {
		t.Errorf("it says %q, %v", out, err)
	}
}

func realAgent(t *testing.T, arch string) string {
	t.Helper()
	s := agentStore(t, "")
	s.AgentSource = etcdlab.Source
	start := time.Now()
	p, err := s.Agent(bg, arch)
	if kindOf(err) == Environment {
		t.Skip("missing: ", err)
	}
	must(t, err)
	st, err := os.Stat(p)
	must(t, err)
	t.Logf("%s: %d MiB in %v", arch, st.Size()>>20, time.Since(start).Round(time.Millisecond))
	return p
}
