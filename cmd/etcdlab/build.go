package main

import (
	"context"
	"fmt"

	"github.com/etcdlab/etcdlab"
	"github.com/etcdlab/etcdlab/images"
	"github.com/etcdlab/etcdlab/images/guest"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/docker"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// build makes everything that the lab's members are made of: etcd, and what its
// provider puts it into.
func build(ctx context.Context, s *spec.Lab, p lab.Provider, o *output) (map[string]lab.Binaries, error) {
	store, err := openImages()
	if err != nil {
		return nil, err
	}
	b := builder{store: store, spec: s, o: o}
	store.Progress = b.progress
	if d, ok := p.(*docker.Provider); ok {
		if b.arch, err = d.Platform(ctx); err != nil {
			return nil, err
		}
	}
	built, done := map[string]lab.Binaries{}, map[string]lab.Binaries{}
	for _, m := range s.Members {
		request, err := imageRequest(s.EtcdFor(m.Name))
		if err != nil {
			return nil, fmt.Errorf("etcd of member %s: %w", m.Name, err)
		}
		request.Arch = b.arch
		img, err := store.Build(ctx, request, b.progress)
		if err != nil {
			return nil, fmt.Errorf("etcd of member %s: %w", m.Name, err)
		}
		if _, ok := done[img.Key]; !ok {
			if done[img.Key], err = b.wrap(ctx, img, p.Name()); err != nil {
				return nil, fmt.Errorf("what member %s runs in: %w", m.Name, err)
			}
		}
		built[m.Name] = done[img.Key]
	}
	return built, nil
}

type builder struct {
	store *images.Store
	spec  *spec.Lab
	arch  string // "" is this machine's
	o     *output
}

func (b *builder) progress(line string) { b.o.progress("%s", line) }

// wrap puts an etcd build into what the provider starts.
func (b *builder) wrap(ctx context.Context, img images.Image, provider string) (lab.Binaries, error) {
	binaries := lab.Binaries{
		Key: img.Key, Version: img.Version,
		Etcd: img.Binaries["etcd"], Etcdctl: img.Binaries["etcdctl"], Etcdutl: img.Binaries["etcdutl"],
	}
	switch provider {
	case "docker":
		c, err := b.store.Container(ctx, img)
		if err != nil {
			return binaries, err
		}
		binaries.Container = &lab.ContainerImage{Reference: c.Reference, ID: c.ID, Archive: c.Archive, Arch: c.Arch, Lacks: c.Lacks}
	case "vm":
		g, err := guest.Build(ctx, b.store, img, guest.Options{Kernel: b.spec.Machine.Kernel})
		if err != nil {
			return binaries, err
		}
		binaries.Guest = &lab.GuestImage{Kernel: g.Kernel, Initrd: g.Initrd, Release: g.Release, Arch: g.Arch, Lacks: g.Lacks}
	}
	return binaries, nil
}

func imageRequest(e spec.Etcd) (images.Request, error) {
	patches, err := images.ReadPatches(e.Patches)
	return images.Request{
		Version: e.Version, Source: e.Source, BboltFailpoints: e.BboltFailpoints, Patches: patches,
		NoFailpoints: e.Failpoints != nil && !*e.Failpoints,
	}, err
}

func openImages() (*images.Store, error) {
	dir, err := images.DefaultDir()
	if err != nil {
		return nil, withCode(codeEnvironment, err)
	}
	store, err := images.Open(dir)
	if err == nil {
		store.AgentSource = etcdlab.Source
	}
	return store, err
}
