package main

import (
	"context"
	"errors"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/doctor"
	"github.com/etcdlab/etcdlab/lab/process"
	"github.com/etcdlab/etcdlab/lab/spec"
	"github.com/etcdlab/etcdlab/lab/vm"
)

func newProcess(o *output) (lab.Provider, error) {
	p, err := process.New()
	if err != nil {
		return nil, err
	}
	check := p.Check
	p.Check = func(ctx context.Context, s *spec.Lab) error {
		checks := doctor.For(ctx, process.Name, s.Disk.FS)
		if err := errors.Join(ctx.Err(), doctor.Missing(checks)); err != nil {
			return err
		}
		return check(ctx, s)
	}
	if o != nil {
		p.Progress = o.progress
	}
	return p, nil
}

func newVM(o *output) (lab.Provider, error) {
	p, err := vm.New()
	if err != nil {
		return nil, err
	}
	if o != nil {
		p.Progress = o.progress
	}
	return p, nil
}

func agentMain(ctx context.Context, args []string) error   { return agent.Main(ctx, args) }
func vmAgentMain(ctx context.Context, args []string) error { return vm.AgentMain(ctx, args) }
