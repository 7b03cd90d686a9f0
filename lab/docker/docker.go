// Package docker owns the provider of the same name: members are containers,
// each with its agent as process 1. It speaks to the engine's API and, over
// mutual TLS on published ports of the loopback, to the agents, so the
// controller needs neither Linux nor root.
package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/docker/docker/client"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Name of this provider.
const Name = "docker"

// Provider makes labs of containers. The zero value is not ready; use New.
type Provider struct {
	// Version of etcdlab, for the labels.
	Version string
	// Progress is told what is being done, a line each time; nil is silence.
	Progress func(format string, args ...any)

	api  *client.Client
	host string // of the engine
}

// New makes the provider for the engine that DOCKER_HOST, the current context
// of the docker command, or the default socket names. Nothing is dialled yet.
func New() (*Provider, error) {
	host, from, err := engineHost()
	if err != nil {
		return nil, err
	}
	opts := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if host != "" {
		opts = append(opts, client.WithHost(host))
	}
	api, err := client.NewClientWithOpts(opts...)
	if err != nil {
		return nil, lab.Misuse("%s does not name a Docker engine: %w", from, err)
	}
	return &Provider{api: api, host: api.DaemonHost()}, nil
}

// Name is "docker".
func (p *Provider) Name() string { return Name }

// Close drops the connections to the engine.
func (p *Provider) Close() error { return p.api.Close() }

func (p *Provider) say(format string, args ...any) {
	if p.Progress != nil {
		p.Progress(format, args...)
	}
}

// Open finds a lab of this engine by its labels.
func (p *Provider) Open(ctx context.Context, name string) (*lab.Lab, error) {
	if err := lab.CheckName("lab", name); err != nil {
		return nil, err
	}
	f, err := p.discover(ctx, name)
	if _, none := errors.AsType[*lab.EnvironmentError](err); none && !traces(name) {
		// Without an engine there are no labs but those that we know of.
		f, err = &found{name: name}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open lab %s: %w", name, err)
	}
	if !f.any() {
		return nil, fmt.Errorf("open lab %s: %w (etcdlab ls lists those there are)", name, lab.ErrNotFound)
	}
	if f.spec == nil {
		return nil, fmt.Errorf("lab %s is only partly there; remove it with: etcdlab down %s", name, name)
	}
	return p.opened(f)
}

// opened is the lab that was found.
func (p *Provider) opened(f *found) (*lab.Lab, error) {
	dir, err := labDir(f.name)
	if err != nil {
		return nil, err
	}
	l := &lab.Lab{Name: f.name, Provider: Name, Spec: f.spec, Subnet: f.subnet, Dir: dir, Slow: 1, Partial: f.partial()}
	if f.spec.TLS {
		l.TLS = clientFiles(filepath.Join(dir, etcdTLS), "client")
	}
	for _, m := range p.members(f, dir) {
		l.Members = append(l.Members, m)
	}
	return l, nil
}

// List finds all labs of this engine, those that are only partly there too.
// Without an engine they are those that are remembered here, by name.
func (p *Provider) List(ctx context.Context) ([]*lab.Lab, error) {
	all, err := p.discoverAll(ctx)
	if _, none := errors.AsType[*lab.EnvironmentError](err); none {
		return p.remembered(err)
	}
	if err != nil {
		return nil, err
	}
	var labs []*lab.Lab
	for _, f := range all {
		if f.spec == nil {
			labs = append(labs, &lab.Lab{Name: f.name, Provider: Name, Spec: &spec.Lab{Name: f.name}, Partial: fmt.Sprintf("leftovers without a spec; etcdlab down %s removes them", f.name)})
			continue
		}
		l, err := p.opened(f)
		if err != nil {
			return nil, err
		}
		labs = append(labs, l)
	}
	return labs, nil
}

// remembered are the labs that this user made and has not taken down, where the
// engine cannot be asked.
func (p *Provider) remembered(why error) ([]*lab.Lab, error) {
	root, err := stateRoot()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("look for labs without an engine: %w", err)
	}
	var labs []*lab.Lab
	for _, e := range entries {
		if name := e.Name(); e.IsDir() && lab.CheckName("lab", name) == nil {
			p.say("lab %s of provider docker cannot be seen: %v", name, why)
			labs = append(labs, &lab.Lab{Name: name, Provider: Name, Spec: &spec.Lab{Name: name}, Partial: why.Error()})
		}
	}
	return labs, nil
}

// Exclusive waits for the lab and keeps others from changing it until unlock.
func (p *Provider) Exclusive(ctx context.Context, name string) (unlock func(), err error) {
	root, err := stateRoot()
	if err != nil {
		return nil, err
	}
	unlock, err = lab.LockIn(ctx, root, name, func(holder string) { p.say("waiting for lab %s, which is in use by %s", name, holder) })
	if errors.Is(err, os.ErrPermission) {
		// Nowhere to lock in: then the engine alone keeps two apart, by the
		// names of what they make.
		return func() {}, nil
	}
	return unlock, err
}

// stateRoot is where the controller keeps what it needs to speak to labs of
// this provider, beside lab.StateRoot, in which process owns every directory.
func stateRoot() (string, error) {
	root, err := lab.StateRoot()
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(root), "docker"), nil
}

// traces says whether the lab was ever this user's.
func traces(name string) bool {
	dir, err := labDir(name)
	return err == nil && exists(dir)
}

// labDir is a lab's directory there.
func labDir(name string) (string, error) {
	root, err := stateRoot()
	return filepath.Join(root, name), err
}

// names of the members of a spec.
func names(s *spec.Lab) []string {
	var all []string
	for _, m := range s.Members {
		all = append(all, m.Name)
	}
	return all
}

// known says whether the spec has the member.
func known(s *spec.Lab, name string) bool { return slices.Contains(names(s), name) }

var _ interface {
	agent.Host
	lab.Member
} = (*member)(nil)
