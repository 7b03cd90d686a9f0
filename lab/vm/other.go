//go:build !linux

// Package vm owns the provider of the same name: members are virtual machines of
// QEMU.
package vm

import (
	"context"
	"errors"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Name of this provider.
const Name = "vm"

var errLinux = &lab.EnvironmentError{
	Check: "provider vm", Found: "another system", Needed: "Linux, for the machines' agents", Get: "use provider docker",
}

// Provider makes labs of virtual machines, elsewhere.
type Provider struct {
	Agent    []string
	Cache    string
	Progress func(format string, args ...any)
}

// New says that it needs Linux.
func New() (*Provider, error) { return nil, errLinux }

// Name is "vm".
func (p *Provider) Name() string { return Name }

// Check says that it needs Linux.
func (p *Provider) Check(context.Context, *spec.Lab) error { return errLinux }

// Up needs Linux.
func (p *Provider) Up(context.Context, *spec.Lab, map[string]lab.Binaries) (*lab.Lab, error) {
	return nil, errLinux
}

// Open needs Linux.
func (p *Provider) Open(context.Context, string) (*lab.Lab, error) { return nil, lab.ErrNotFound }

// List finds none.
func (p *Provider) List(context.Context) ([]*lab.Lab, error) { return nil, nil }

// Down has nothing to remove.
func (p *Provider) Down(context.Context, string) error { return nil }

// Exclusive needs Linux.
func (p *Provider) Exclusive(context.Context, string) (func(), error) { return nil, errLinux }

// AgentMain says that it needs Linux.
func AgentMain(context.Context, []string) error {
	return errors.New("run the agent of a virtual machine: it needs Linux")
}
