package guest

import (
	"cmp"
	"context"
	"runtime"

	"github.com/etcdlab/etcdlab/images"
)

// Bare gives a kernel and the entries of an initramfs with its modules and their
// list, but with no init, agent or etcd: what a test boots that brings its own.
func Bare(ctx context.Context, s *images.Store, arch string, opts Options) (image string, files []Entry, err error) {
	k, err := findKernel(ctx, s, cmp.Or(arch, runtime.GOARCH), opts.Kernel)
	if err != nil {
		return "", nil, err
	}
	t, err := readTree(k.modules)
	if err != nil {
		return "", nil, err
	}
	modules, err := t.choose(ctx, k.release)
	if err != nil {
		return "", nil, err
	}
	return k.image, append(modules.entries(), Entry{Name: "dev/console", Mode: device | 0o600, Major: 5, Minor: 1}), nil
}
