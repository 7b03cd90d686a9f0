package images

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
)

// ListFailpoints gives the failpoints that the image has or would have, sorted
// by name, without compiling anything: a release's sources are downloaded if
// they are not in Go's module cache. Failures are of type *Error.
func (s *Store) ListFailpoints(ctx context.Context, r Request) ([]Failpoint, error) {
	p, err := s.plan(ctx, r)
	if err != nil {
		return nil, err
	}
	if img, ok, err := s.find(p); ok || err != nil {
		return img.Failpoints, err
	}
	if r.NoFailpoints {
		return nil, nil
	}
	if p.goTool == nil {
		return nil, p.noGo()
	}
	work, err := os.MkdirTemp("", "etcdlab-failpoints-")
	if err != nil {
		return nil, err
	}
	points, err := p.list(ctx, work)
	return points, p.wrap(errors.Join(err, os.RemoveAll(work)))
}

func (p plan) list(ctx context.Context, work string) ([]Failpoint, error) {
	k, err := newKitchen(p, work, func(string) {})
	if err != nil {
		return nil, err
	}
	var modules []module
	switch {
	case len(p.req.Patches) > 0:
		// They need a copy to change.
		if modules, err = k.fetch(ctx, &Image{Tools: map[string]string{}}); err == nil {
			err = k.patch()
		}
	case p.source != nil:
		modules, err = p.source.modules()
	default:
		var dir string
		dir, err = k.download(ctx, serverModule, p.in.Version)
		modules = []module{{serverModule, dir}}
	}
	if err != nil {
		return nil, err
	}
	if !p.in.Bbolt {
		return k.scan(withoutBbolt(modules), false)
	}
	if _, here := owner(bboltModule, modules); !here {
		server, _ := owner(serverModule, modules)
		version, err := required(server.dir, bboltModule)
		if err != nil {
			return nil, err
		}
		dir, err := k.download(ctx, bboltModule, version)
		if err != nil {
			return nil, err
		}
		modules = append(modules, module{bboltModule, dir})
	}
	return k.scan(modules, false)
}

// scan lists the failpoints that an etcd of these modules has, and with write
// turns them into code. It refuses to make an image that would not have what it
// promises.
func (k *kitchen) scan(modules []module, write bool) ([]Failpoint, error) {
	files, err := linked(platform(k.in.OS, k.in.Arch), serverModule, modules)
	if err != nil {
		return nil, k.because(err, Usage, "its sources cannot be read", "check the tree")
	}
	points, err := failpoints(files, write)
	if err != nil {
		return nil, k.because(err, Usage, "its failpoints cannot be compiled in", "check the tree, or build it without failpoints")
	}
	if len(points) == 0 {
		return nil, k.fail(Usage, "it has no failpoints", "build it without failpoints")
	}
	if k.in.Bbolt && !slices.ContainsFunc(points, func(p Failpoint) bool { return isBbolt(p.Package) }) {
		return nil, k.fail(Usage, "its bbolt has no failpoints (they came with bbolt v1.3.9)", "leave out bbolt's failpoints, or take a later etcd")
	}
	return points, nil
}

func isBbolt(pkg string) bool {
	return pkg == bboltModule || strings.HasPrefix(pkg, bboltModule+"/")
}

// withoutBbolt leaves a bbolt that a local tree brings along as it is.
func withoutBbolt(modules []module) []module {
	return slices.DeleteFunc(slices.Clone(modules), func(m module) bool { return m.path == bboltModule })
}

// cutVersion takes "path@version" apart.
func cutVersion(line []byte) (mod, version string) {
	mod, version, _ = strings.Cut(strings.TrimSpace(string(line)), "@")
	return mod, version
}
