package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/docker"
	"github.com/etcdlab/etcdlab/lab/spec"
	"github.com/etcdlab/etcdlab/lab/vm"
)

// provider picks the provider that the lab asks for, or the default, and says
// which.
func provider(ctx context.Context, s *spec.Lab, o *output) (lab.Provider, error) {
	if s.Provider == "" {
		if err := choose(ctx, s, o); err != nil {
			return nil, err
		}
	}
	switch s.Provider {
	case "process":
		if os.Geteuid() != 0 {
			return nil, withCode(codeEnvironment, errors.New("provider process needs root; run etcdlab as root, or use --provider docker or vm (see `etcdlab doctor`)"))
		}
		return newProcess(o)
	case "docker":
		return newDocker(o)
	case "vm":
		return newVM(o)
	}
	return nil, withCode(codeUsage, fmt.Errorf("provider %q is not in this version; use process, docker or vm", s.Provider))
}

// choose is the default: process for root on Linux, else docker where an engine
// answers.
func choose(ctx context.Context, s *spec.Lab, o *output) error {
	if runtime.GOOS == "linux" && os.Geteuid() == 0 {
		s.Provider = "process"
		o.progress("provider process: this is Linux and you are root")
		return nil
	}
	p, err := newDocker(o)
	if err == nil {
		_, err = p.Platform(ctx)
	}
	if err != nil {
		return withCode(codeEnvironment, fmt.Errorf(
			"no provider can be had here: process needs Linux and root; docker needs an engine that answers (%w); run etcdlab as root, or start Docker, or use --provider vm (see `etcdlab doctor`)", err))
	}
	s.Provider = "docker"
	o.progress("provider docker: you are not root, and an engine answers")
	return nil
}

func newDocker(o *output) (*docker.Provider, error) {
	p, err := docker.New()
	if err != nil {
		return nil, err
	}
	p.Version = toolVersion()
	if o != nil {
		p.Progress = o.progress
	}
	return p, nil
}

// providersFor are all that labs of this machine may be of, as far as this user
// can see; they tell o, unless it is nil, what they do.
func providersFor(o *output) []lab.Provider {
	var all []lab.Provider
	if os.Geteuid() == 0 {
		if p, err := newProcess(o); err == nil {
			all = append(all, p)
		}
	}
	if p, err := newVM(o); err == nil {
		all = append(all, p)
	}
	// Without an engine, too: a lab that it made must not seem to be gone.
	if p, err := newDocker(o); err == nil {
		all = append(all, p)
	}
	return all
}

// open finds a lab, whichever provider made it.
func open(ctx context.Context, name string) (*lab.Lab, error) {
	if err := lab.CheckName("lab", name); err != nil {
		return nil, err
	}
	for _, p := range providersFor(nil) {
		l, err := p.Open(ctx, name)
		if err == nil || !errors.Is(err, lab.ErrNotFound) {
			return l, err
		}
	}
	hint := "etcdlab ls lists those there are"
	if os.Geteuid() != 0 {
		hint += "; those of processes are root's"
	}
	return nil, fmt.Errorf("open lab %s: %w (%s)", name, lab.ErrNotFound, hint)
}

// exclusive keeps others from changing a lab, where its own provider looks.
func exclusive(ctx context.Context, name string, progress func(string, ...any)) (unlock func(), err error) {
	l, err := open(ctx, name)
	if err != nil {
		return nil, err
	}
	switch l.Provider {
	case vm.Name:
		p, err := vm.New()
		if err != nil {
			return nil, err
		}
		p.Progress = progress
		return p.Exclusive(ctx, name)
	case docker.Name:
		p, err := newDocker(nil)
		if err != nil {
			return nil, err
		}
		p.Progress = progress
		return p.Exclusive(ctx, name)
	}
	return lab.Lock(ctx, name, func(holder string) { progress("waiting for lab %s, which is in use by %s", name, holder) })
}

// elsewhere refuses the name of a lab of another provider.
func elsewhere(ctx context.Context, s *spec.Lab) error {
	for _, p := range providersFor(nil) {
		if p.Name() == s.Provider {
			continue
		}
		_, err := p.Open(ctx, s.Name)
		if ctx.Err() != nil {
			return ctx.Err() // what did not answer then says nothing
		}
		if !errors.Is(err, lab.ErrNotFound) {
			return lab.Misuse("lab %s exists with provider %s; take it down first (etcdlab down %s), or use another name", s.Name, p.Name(), s.Name)
		}
	}
	return nil
}
