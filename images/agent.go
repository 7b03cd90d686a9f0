package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// agentRecipe is raised whenever the recipe makes another agent from the same
// inputs.
const agentRecipe = 1

// agentInputs is everything that decides what an agent is.
type agentInputs struct {
	Source     string `json:"source"` // hash of the files
	Go         string `json:"go"`
	Toolchain  string `json:"toolchain"`
	Experiment string `json:"experiment,omitempty"`
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	Recipe     int    `json:"recipe"`
}

// Agent gives the path of etcdlab itself for members' hosts of that
// architecture (this machine's if empty), from the cache or by building it
// from AgentSource: the agent is exactly the controller's source, whatever the
// controller itself was built for. Failures are of type *Error.
func (s *Store) Agent(ctx context.Context, arch string) (string, error) {
	a, err := s.agent(ctx, arch)
	return a.Path("etcdlab"), err
}

func (s *Store) agent(ctx context.Context, arch string) (Artifact, error) {
	if arch == "" {
		arch = runtime.GOARCH
	}
	fail := func(kind Kind, reason, next string) *Error {
		return &Error{Kind: kind, Op: "build", Object: "agent for " + imageOS + "/" + arch, Reason: reason, Next: next}
	}
	if s.AgentSource == nil {
		return Artifact{}, fail(Build, "the store does not know etcdlab's source", "this is a bug of etcdlab: set Store.AgentSource to etcdlab.Source")
	}
	files, hash, err := agentFiles(s.AgentSource)
	if err != nil {
		return Artifact{}, wrap(err, fail)
	}
	in := agentInputs{Source: hash, OS: imageOS, Arch: arch, Recipe: agentRecipe}
	tool, err := findGo()
	if errors.Is(err, errNoGo) {
		if a, ok := s.agentOfAnyGo(in); ok {
			return a, nil
		}
		e := fail(Environment, "it is not in the cache", "install Go, or copy the cache from a machine that has it")
		e.Err = errNoGo
		return Artifact{}, e
	}
	if err != nil {
		e := fail(Environment, "cannot tell the version of the go command", "")
		e.Err = err
		return Artifact{}, e
	}
	in.Go, in.Toolchain, in.Experiment = tool.version, tool.toolchain, tool.experiment
	made := false
	a, err := s.Make(ctx, Making{Kind: "agent", Name: "etcdlab", Arch: arch, Inputs: in,
		Make: func(ctx context.Context, work, out string) (any, error) {
			made = true
			s.tell("building the agent for %s/%s", imageOS, arch)
			err := s.compileAgent(ctx, tool.command(arch, work), files, hash, filepath.Join(work, "src"), filepath.Join(out, "etcdlab"))
			return nil, explain(err, fail, func(*goError) *Error {
				return fail(Build, "the go command failed", "report this as a bug of etcdlab")
			})
		}})
	if made && err == nil {
		s.Prune(a)
	}
	return a, wrap(err, fail)
}

func (s *Store) compileAgent(ctx context.Context, command goCommand, files []string, hash, src, to string) error {
	for _, name := range files {
		b, err := fs.ReadFile(s.AgentSource, name)
		if err != nil {
			return err
		}
		at := filepath.Join(src, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, b, 0o644); err != nil {
			return err
		}
	}
	// The version is that of the source: controllers that were built in
	// different ways from one source share the agent.
	_, err := command.run(ctx, src, "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w -X main.version=source-"+hash[:12], "-o", to, "./cmd/etcdlab")
	if err != nil {
		return err
	}
	return static(to)
}

// agentFiles lists the source's files that are built, sorted, and their hash.
func agentFiles(source fs.FS) (files []string, hash string, err error) {
	h := sha256.New()
	err = fs.WalkDir(source, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || notBuilt(name) {
			return err
		}
		b, err := fs.ReadFile(source, name)
		if err != nil {
			return err
		}
		files = append(files, path.Clean(name))
		fmt.Fprintf(h, "%s %d\n%s", name, len(b), b)
		return nil
	})
	return files, hex.EncodeToString(h.Sum(nil)), err
}

// notBuilt says whether a file cannot become part of the agent: tests, and what
// running them leaves in a tree that somebody works in.
func notBuilt(name string) bool {
	switch path.Ext(name) {
	case ".test", ".out", ".prof", ".log":
		return true
	}
	return strings.HasSuffix(name, "_test.go") || strings.Contains(name, "testdata/")
}

// agentOfAnyGo finds an agent of the same source that another Go built.
func (s *Store) agentOfAnyGo(want agentInputs) (Artifact, bool) {
	all, err := s.Artifacts()
	if err != nil {
		return Artifact{}, false
	}
	for _, a := range all {
		var in agentInputs
		if a.Kind != "agent" || json.Unmarshal(a.Inputs, &in) != nil {
			continue
		}
		in.Go, in.Toolchain, in.Experiment = "", "", ""
		if in == want {
			return a, true
		}
	}
	return Artifact{}, false
}
