package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcdlab/etcdlab/lab/spec"
)

// downTimeout bounds taking a lab down.
const downTimeout = 60 * time.Second

// Local finds the labs of a provider that keeps them, with their manifests, on
// this machine.
type Local struct {
	Provider string
	RunDir   func(lab string) string
	Found    func(lab string) (bool, error) // whether there is anything of it, with a manifest or without
	Opened   func(m *Manifest) *Lab
}

// Open finds a lab.
func (l Local) Open(name string) (*Lab, error) {
	if err := CheckName("lab", name); err != nil {
		return nil, err
	}
	m, err := ReadManifest(l.RunDir(name))
	if errors.Is(err, ErrNotFound) {
		found, err := l.Found(name)
		if err != nil {
			return nil, err
		}
		if found {
			return nil, fmt.Errorf("lab %s is only partly there; remove it with: etcdlab down %s", name, name)
		}
		return nil, fmt.Errorf("open lab %s: %w (etcdlab ls lists those there are)", name, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return l.Opened(m), nil
}

// List finds the labs of these names, those that are only partly there too.
func (l Local) List(names []string) []*Lab {
	var labs []*Lab
	for _, name := range names {
		m, err := ReadManifest(l.RunDir(name))
		if err == nil {
			labs = append(labs, l.Opened(m))
			continue
		}
		if found, err := l.Found(name); err != nil || !found {
			continue // gone meanwhile
		}
		labs = append(labs, &Lab{
			Name: name, Provider: l.Provider, Spec: &spec.Lab{Name: name},
			Partial: fmt.Sprintf("leftovers without a manifest; etcdlab down %s removes them", name),
		})
	}
	return labs
}

// Down removes every trace of a lab, under its lock. remove needs neither the
// spec nor anything that still runs.
func (l Local) Down(ctx context.Context, name string, lock func(context.Context, string) (func(), error), remove func(context.Context, string) error) error {
	if err := CheckName("lab", name); err != nil {
		return err
	}
	found, err := l.Found(name)
	if err != nil || !found {
		return err
	}
	unlock, err := lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	if err := remove(ctx, name); err != nil {
		return fmt.Errorf("take lab %s down: %w (run it again; what is left is still found by its name)", name, err)
	}
	return nil
}
