package main

import (
	"context"
	"fmt"

	"github.com/etcdlab/etcdlab/lab"
)

// releases gives other releases of etcd for a lab's members, built as their own
// are, for faults that change the release.
func releases(l *lab.Lab, progress func(string, ...any)) func(ctx context.Context, member, version string) (lab.Binaries, error) {
	return func(ctx context.Context, member, version string) (lab.Binaries, error) {
		store, err := openImages()
		if err != nil {
			return lab.Binaries{}, err
		}
		e := l.Spec.EtcdFor(member)
		e.Version, e.Source, e.Patches = version, "", nil
		request, err := imageRequest(e)
		if err != nil {
			return lab.Binaries{}, err
		}
		if l.Provider == "docker" {
			d, err := newDocker(nil)
			if err != nil {
				return lab.Binaries{}, err
			}
			if request.Arch, err = d.Platform(ctx); err != nil {
				return lab.Binaries{}, err
			}
		}
		img, err := store.Build(ctx, request, func(line string) { progress("%s", line) })
		if err != nil {
			return lab.Binaries{}, fmt.Errorf("etcd %s for member %s: %w", version, member, err)
		}
		return lab.Binaries{
			Key: img.Key, Version: img.Version,
			Etcd: img.Binaries["etcd"], Etcdctl: img.Binaries["etcdctl"], Etcdutl: img.Binaries["etcdutl"],
		}, nil
	}
}
