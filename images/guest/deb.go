package guest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/images"
)

// kernelKind is the kind of artifact that unpacked kernel packages are.
const kernelKind = "kernel"

// metaPackage depends on the newest kernel for machines that are virtual.
func metaPackage(arch string) string { return "linux-image-cloud-" + arch }

// packagedKernel gives a kernel from a Debian package. One in the cache is
// taken as it is: a newer one is fetched when that was removed.
func packagedKernel(ctx context.Context, s *images.Store, arch string) (kernel, error) {
	if k, ok := cachedKernel(s, arch); ok {
		return k, nil
	}
	for _, tool := range []string{"apt-get", "apt-cache", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return kernel{}, fmt.Errorf("no %s here", tool)
		}
	}
	name, err := resolve(ctx, arch)
	if err != nil {
		return kernel{}, err
	}
	a, err := s.Make(ctx, images.Making{Kind: kernelKind, Name: name, Arch: arch, Inputs: packageInputs{name, arch, packageRecipe},
		Make: func(ctx context.Context, work, out string) (any, error) {
			tell(s, "fetching the kernel package "+name)
			return nil, fetch(ctx, name+suffix(arch), work, out)
		}})
	if err != nil {
		return kernel{}, err
	}
	return unpackedKernel(a)
}

type packageInputs struct {
	Package string `json:"package"`
	Arch    string `json:"arch"`
	Recipe  int    `json:"recipe"`
}

const packageRecipe = 1

// suffix names a package of another architecture, which dpkg must know of.
func suffix(arch string) string {
	if arch == runtime.GOARCH {
		return ""
	}
	return ":" + arch
}

func cachedKernel(s *images.Store, arch string) (kernel, bool) {
	all, err := s.Artifacts()
	if err != nil {
		return kernel{}, false
	}
	slices.SortStableFunc(all, func(a, b images.Artifact) int { return newest(a.Name, b.Name) })
	for _, a := range all {
		if a.Kind != kernelKind || a.Arch != arch {
			continue
		}
		if k, err := unpackedKernel(a); err == nil {
			return k, true
		}
	}
	return kernel{}, false
}

// unpackedKernel finds the kernel in the tree of a package; since Debian 13 its
// modules are below usr.
func unpackedKernel(a images.Artifact) (kernel, error) {
	files, err := filepath.Glob(a.Path("boot/vmlinuz-*"))
	if err != nil {
		return kernel{}, err
	}
	for _, file := range files {
		release, err := releaseOf(file)
		if err != nil {
			return kernel{}, err
		}
		for _, lib := range []string{"lib", "usr/lib"} {
			if place := a.Path(lib + "/modules/" + release); hasModules(place) {
				return kernel{image: file, release: release, modules: place, of: []string{a.Key}}, nil
			}
		}
	}
	return kernel{}, fmt.Errorf("no kernel with modules in %s", a.Dir)
}

var dependsLine = regexp.MustCompile(`(?m)^Depends: (?:.*, )?(linux-image-[0-9][a-z0-9.+-]*)`)

// resolve gives the real package that the meta package stands for.
func resolve(ctx context.Context, arch string) (string, error) {
	meta := metaPackage(arch) + suffix(arch)
	out, err := run(ctx, "", "apt-cache", "show", "--no-all-versions", meta)
	if err != nil {
		return "", fmt.Errorf("apt knows no %s: %w", meta, err)
	}
	m := dependsLine.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("apt's %s depends on no kernel", meta)
	}
	return string(m[1]), nil
}

// fetch downloads a package to work and unpacks what guests need of it into out.
func fetch(ctx context.Context, name, work, out string) error {
	if _, err := run(ctx, work, "apt-get", "-q", "-o", "Acquire::Retries=2", "download", name); err != nil {
		return fmt.Errorf("download %s: %w", name, err)
	}
	debs, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("download %s: apt-get left %d packages", name, len(debs))
	}
	if _, err := run(ctx, work, "dpkg-deb", "-x", debs[0], out); err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	return os.RemoveAll(filepath.Join(out, "usr", "share")) // documentation
}

// run runs a tool in dir and gives what it printed.
func run(ctx context.Context, dir string, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, errout bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, &out, &errout, append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		lines := strings.Split(strings.TrimSpace(errout.String()), "\n")
		return nil, fmt.Errorf("%s: %w: %s", argv[0], err, lines[len(lines)-1])
	}
	return out.Bytes(), nil
}
