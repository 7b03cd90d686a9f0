package images

import (
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/modfile"
)

// The modules that images are made of. The first three have their binary's main
// package at the root.
const (
	serverModule = "go.etcd.io/etcd/server/v3"
	ctlModule    = "go.etcd.io/etcd/etcdctl/v3"
	utlModule    = "go.etcd.io/etcd/etcdutl/v3"
	bboltModule  = "go.etcd.io/bbolt"
	gofailModule = "go.etcd.io/gofail"
)

// target is one binary: its name, its module, and the module's directory in an
// etcd tree.
type target struct{ binary, module, dir string }

// targets are in the order in which they are built. The server comes last,
// because only it may have failpoints: etcdutl links the server's packages, and
// with gofail in it would try to listen on a member's GOFAIL_HTTP.
var targets = []target{
	{"etcdctl", ctlModule, "etcdctl"},
	{"etcdutl", utlModule, "etcdutl"},
	{"etcd", serverModule, "server"},
}

// kitchen is one run of the recipe.
type kitchen struct {
	plan
	goCommand
	work     string // what is written goes here
	progress func(string)
}

// compile is the recipe: a copy of etcd's modules, the failpoints of the server
// turned into code, three static binaries.
func compile(ctx context.Context, p plan, work, out string, progress func(string)) (Image, error) {
	k, err := newKitchen(p, work, progress)
	if err != nil {
		return Image{}, err
	}
	img := Image{Version: p.in.Version, Tools: map[string]string{}}
	if p.source != nil {
		img.Version, img.Source = p.source.version, p.source.dir
	}
	modules, err := k.fetch(ctx, &img)
	if err != nil {
		return Image{}, err
	}
	if err := k.patch(); err != nil {
		return Image{}, err
	}
	for _, t := range targets {
		dir := filepath.Join(k.tree(), t.dir)
		if t.module == serverModule && p.in.Failpoint {
			if img.Failpoints, err = k.enable(ctx, dir, modules); err != nil {
				return Image{}, err
			}
		}
		progress("compiling " + t.binary)
		bin := filepath.Join(out, "bin", t.binary)
		if _, err := k.run(ctx, dir, "build", "-trimpath", "-o", bin, "."); err != nil {
			return Image{}, k.explain(err)
		}
		if err := static(bin); err != nil {
			return Image{}, k.because(err, Build, t.binary+" is not a static binary", "report this as a bug of etcdlab")
		}
	}
	info, err := buildinfo.ReadFile(filepath.Join(out, "bin", "etcd"))
	if err != nil {
		return Image{}, err
	}
	img.Go = info.GoVersion
	return img, nil
}

func newKitchen(p plan, work string, progress func(string)) (*kitchen, error) {
	tmp := filepath.Join(work, "gotmp")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return nil, err
	}
	// Downloads run in work, and must not see a go.mod of the user's above it.
	if err := os.WriteFile(filepath.Join(work, "go.mod"), []byte("module work\n"), 0o644); err != nil {
		return nil, err
	}
	return &kitchen{p, p.goTool.command(p.in.Arch, tmp), work, progress}, nil
}

// tree is the copy of etcd that is built.
func (k *kitchen) tree() string { return filepath.Join(k.work, "etcd") }

// fetch puts the modules into the tree, with go.mod files that find the others
// there, or else in the module proxy, and gives those where failpoints may be.
func (k *kitchen) fetch(ctx context.Context, img *Image) ([]module, error) {
	if k.source != nil {
		k.progress("copying " + k.source.dir)
		copied, err := k.source.copyTo(ctx, k.work)
		if errors.Is(err, errChanged) {
			return nil, k.because(err, Usage, "cannot copy it", "try again when nobody edits it")
		}
		if err != nil {
			return nil, err
		}
		return copied.modules()
	}
	k.progress("downloading etcd " + k.in.Version)
	// The server first: without it there is no such release.
	for _, t := range slices.Backward(targets) {
		dir, version, err := k.downloadRelease(ctx, t.module)
		if err != nil {
			return nil, err
		}
		// etcdctl 3.5 links etcdutl, which may have been of another release.
		if utl := img.Tools["etcdutl"]; t.module == ctlModule && utl != "" && version != utl {
			links, err := required(dir, utlModule)
			if err == nil && links != "" {
				version = utl
				dir, err = k.download(ctx, t.module, utl)
			}
			if err != nil {
				return nil, err
			}
		}
		if version != k.in.Version {
			img.Tools[t.binary] = version
		}
		to := filepath.Join(k.tree(), t.dir)
		if err := copyModule(ctx, dir, to); err != nil {
			return nil, err
		}
		if err := editMod(to, func(f *modfile.File) error { return pinSiblings(f, version) }); err != nil {
			return nil, err
		}
	}
	return []module{{serverModule, filepath.Join(k.tree(), "server")}}, nil
}

// patch applies the patches to the tree.
func (k *kitchen) patch() error {
	for _, p := range k.req.Patches {
		k.progress("applying patch " + p.Name)
		if err := p.apply(k.tree()); err != nil {
			return k.because(err, Usage, "patch "+p.Name+" does not fit", "make it from the sources of this version")
		}
	}
	return nil
}

// enable turns the failpoints of the server, and of bbolt if asked for, into
// code, and gives what they are.
func (k *kitchen) enable(ctx context.Context, server string, modules []module) ([]Failpoint, error) {
	k.progress("turning failpoints into code")
	// The server's own requirement is enough for bbolt, too: imports are looked
	// up among all modules of the build.
	err := editMod(server, func(f *modfile.File) error { return f.AddRequire(gofailModule, gofailVersion) })
	if err != nil {
		return nil, err
	}
	if !k.in.Bbolt {
		modules = withoutBbolt(modules)
	} else if _, here := owner(bboltModule, modules); !here {
		bbolt, err := k.copyBbolt(ctx, server)
		if err != nil {
			return nil, err
		}
		err = editMod(server, func(f *modfile.File) error { return addReplace(f, server, bbolt) })
		if err != nil {
			return nil, err
		}
		modules = append(modules, bbolt)
	}
	return k.scan(modules, true)
}

// copyBbolt copies the bbolt that the server links beside the tree.
func (k *kitchen) copyBbolt(ctx context.Context, server string) (module, error) {
	version, err := k.run(ctx, server, "list", "-m", "-f", "{{with .Replace}}{{.Path}}@{{.Version}}{{else}}{{.Path}}@{{.Version}}{{end}}", bboltModule)
	if err != nil {
		return module{}, k.explain(err)
	}
	mod, v := cutVersion(version)
	from, err := k.download(ctx, mod, v)
	if err != nil {
		return module{}, err
	}
	bbolt := module{bboltModule, filepath.Join(k.work, "bbolt")}
	return bbolt, copyModule(ctx, from, bbolt.dir)
}

// static checks that a Linux binary needs no dynamic linker.
func static(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			err = errors.New("it names a dynamic linker")
		}
	}
	return errors.Join(err, f.Close())
}
