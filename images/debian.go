package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/disk/fs"
)

// toolsRecipe is raised whenever other files are taken from the packages.
const toolsRecipe = 1

// packagedTools gives the tools of Debian's packages for an architecture that
// is not this machine's, fetched with this machine's apt, as whoever asks.
// Where that cannot be done the tools lack everything and say why.
func (s *Store) packagedTools(ctx context.Context, arch string) (Tools, error) {
	t := Tools{Lacks: map[string]string{}}
	var packages []string
	for _, kind := range fs.Kinds() {
		_, pkg := fs.Tool(kind)
		packages = append(packages, pkg)
	}
	a, err := s.Make(ctx, Making{Kind: "tools", Name: strings.Join(packages, " "), Arch: arch,
		Inputs: struct {
			Arch     string   `json:"arch"`
			Packages []string `json:"packages"`
			Recipe   int      `json:"recipe"`
		}{arch, packages, toolsRecipe},
		Make: func(ctx context.Context, work, out string) (any, error) {
			s.tell("fetching Debian packages for %s: %s", arch, strings.Join(packages, " "))
			return unpackTools(ctx, arch, packages, work, out)
		}})
	var unable *exec.Error // there is no apt-get
	var failed *commandError
	switch {
	case errors.As(err, &unable), errors.As(err, &failed):
		for _, kind := range fs.Kinds() {
			tool, pkg := fs.Tool(kind)
			t.Lacks[kind] = fmt.Sprintf("no %s for %s/%s: this machine is %s/%s and its apt-get cannot fetch %s: %v; name in %s what `etcdlab images export --arch %s --to FILE` writes on Linux, or use a disk of kind plain",
				tool, imageOS, arch, runtime.GOOS, runtime.GOARCH, pkg, err, toolsEnv, arch)
		}
		return t, nil
	case err != nil:
		return t, err
	}
	return keptTools(a)
}

// unpackTools fetches the packages, and those of their libraries, until
// nothing that the tools need is missing, and copies what is needed to
// out/root.
func unpackTools(ctx context.Context, arch string, packages []string, work, out string) (Tools, error) {
	a, err := newApt(arch, work)
	if err != nil {
		return Tools{}, err
	}
	// One of many sources may fail here and do no harm.
	updateErr := a.run(ctx, io.Discard, "apt-get", "-q", "update")
	if errors.As(updateErr, new(*exec.Error)) {
		return Tools{}, updateErr // there is no apt
	}
	root := filepath.Join(work, "root")
	var t Tools
	for have := []string{}; ; {
		missing := false
		why := func(tool, pkg string, err error) string {
			missing = true
			return fmt.Sprintf("%s of the Debian package %s for %s cannot be used: %v", tool, pkg, arch, err)
		}
		if len(have) > 0 {
			if t, err = installed(root, arch, why); err != nil {
				return t, err
			}
			if !missing {
				break
			}
			if packages, err = a.libraries(ctx, packages); err != nil {
				return t, err
			}
		}
		packages = slices.DeleteFunc(packages, func(p string) bool { return slices.Contains(have, p) })
		if len(packages) == 0 {
			break // and the tools say what they lack
		}
		have = append(have, packages...)
		if err := a.unpack(ctx, packages, root); err != nil {
			if updateErr != nil {
				err = fmt.Errorf("%w; then %w", updateErr, err)
			}
			return t, err
		}
	}
	return t, t.keep(out)
}

// apt runs this machine's apt with lists and a cache of its own: it needs no
// privilege, and leaves the machine's apt alone.
type apt struct{ dir, conf string }

func newApt(arch, work string) (*apt, error) {
	a := &apt{dir: filepath.Join(work, "apt"), conf: filepath.Join(work, "apt.conf")}
	for _, d := range []string{"state/lists/partial", "cache/archives/partial", "debs"} {
		if err := os.MkdirAll(filepath.Join(a.dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	// The machine's hooks are about the machine. As root, apt would fetch as a
	// user who cannot enter the directory.
	conf := fmt.Sprintf(`#clear APT::Update;
#clear DPkg;
#clear APT::Architectures;
APT::Architecture %q;
APT::Architectures { %q; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
Dir::State %q;
Dir::State::status %q;
Dir::Cache %q;
`, arch, arch, filepath.Join(a.dir, "state"), filepath.Join(a.dir, "status"), filepath.Join(a.dir, "cache"))
	return a, errors.Join(os.WriteFile(filepath.Join(a.dir, "status"), nil, 0o644), os.WriteFile(a.conf, []byte(conf), 0o644))
}

// commandError is a command that failed, with what it said last.
type commandError struct {
	line []string
	said string
	err  error
}

func (e *commandError) Error() string {
	return fmt.Sprintf("%s: %v: %s", strings.Join(e.line, " "), e.err, e.said)
}

func (a *apt) run(ctx context.Context, out io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	var errout bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = filepath.Join(a.dir, "debs"), out, &errout, 5*time.Second
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if strings.HasPrefix(name, "apt-") {
		// As an option it is read last, after what the machine says.
		cmd.Args = append([]string{name, "-c", a.conf}, args...)
	}
	err := runGroup(cmd)
	switch {
	case err == nil || errors.As(err, new(*exec.Error)):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	lines := strings.Split(strings.TrimSpace(errout.String()), "\n")
	return &commandError{append([]string{name}, args...), lines[len(lines)-1], err}
}

// unpack fetches packages and unpacks them into root, none of their scripts
// run.
func (a *apt) unpack(ctx context.Context, packages []string, root string) error {
	if err := a.run(ctx, io.Discard, "apt-get", append([]string{"-q", "download"}, packages...)...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(a.dir, "debs", "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if err := a.run(ctx, io.Discard, "dpkg-deb", "-x", deb, root); err != nil {
			return err
		}
		if err := os.Remove(deb); err != nil {
			return err
		}
	}
	return nil
}

// libraries are the packages of libraries that packages depend on.
func (a *apt) libraries(ctx context.Context, packages []string) ([]string, error) {
	var out bytes.Buffer
	err := a.run(ctx, &out, "apt-cache", append([]string{"depends", "--important"}, packages...)...)
	return dependedLibraries(out.String()), err
}

// dependedLibraries reads what `apt-cache depends` prints.
func dependedLibraries(text string) []string {
	var libs []string
	for line := range strings.Lines(text) {
		kind, name, _ := strings.Cut(strings.TrimLeft(strings.TrimSpace(line), "|"), ": ")
		lib := strings.HasPrefix(name, "lib") || strings.HasPrefix(name, "zlib")
		if (kind == "Depends" || kind == "PreDepends") && lib && !slices.Contains(libs, name) {
			libs = append(libs, name)
		}
	}
	return libs
}
