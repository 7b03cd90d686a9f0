package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/etcdlab/etcdlab/internal/each"
	"github.com/etcdlab/etcdlab/internal/undo"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Up makes the lab, or makes an existing one whole again.
func (p *Provider) Up(ctx context.Context, s *spec.Lab, images map[string]lab.Binaries) (*lab.Lab, error) {
	if err := lab.CheckMembers(s, images); err != nil {
		return nil, err
	}
	if p.Check != nil {
		if err := p.Check(ctx, s); err != nil {
			return nil, err
		}
	}
	unlock, err := p.lock(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	m, err := lab.ReadManifest(lab.RunDir(s.Name))
	if err == nil && m.Provider != Name {
		return nil, lab.Misuse("lab %s exists with provider %s; take it down first (etcdlab down %s), or use another name", s.Name, m.Provider, s.Name)
	}
	if err == nil && m.Ready {
		return p.converge(ctx, m, s, images)
	}
	// What an interrupted up left may be half of anything: start afresh.
	found, err := discover(s.Name)
	if err != nil {
		return nil, err
	}
	if found.any() {
		if err := lab.Clear(ctx, s.Name, p.say, p.remove); err != nil {
			return nil, err
		}
	}
	return p.create(ctx, s, images)
}

// create makes a lab of which nothing exists; on any error it takes back what
// it made.
func (p *Provider) create(ctx context.Context, s *spec.Lab, images map[string]lab.Binaries) (l *lab.Lab, err error) {
	var stack undo.Stack
	defer func() {
		if err != nil {
			err = lab.TakeBack(ctx, s.Name, &stack, p.say, err)
		}
	}()
	b, err := newBuild(p, s, images)
	if err != nil {
		return nil, err
	}
	runDir := lab.RunDir(s.Name)
	stack.Push("directories of lab "+s.Name, func(context.Context) error {
		return errors.Join(removeAll(b.m.StateDir), removeAll(runDir))
	})
	for _, dir := range []string{runDir, b.m.StateDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the lab's directories: %w", err)
		}
	}
	// The manifest is there before anything else, to be found by down.
	if err := b.m.Write(runDir); err != nil {
		return nil, err
	}
	stack.Push("network of lab "+s.Name, func(context.Context) error { return removeNetwork(s.Name, b.names) })
	p.say("making the network of lab %s", s.Name)
	if err := b.makeNetwork(ctx); err != nil {
		return nil, err
	}
	if err := b.describe(); err != nil {
		return nil, err
	}
	if err := b.m.Write(runDir); err != nil {
		return nil, err
	}
	stack.Push("control groups of lab "+s.Name, func(ctx context.Context) error { return killGroup(ctx, lab.Cgroup(s.Name)) })
	p.say("making %d members", len(b.m.Members))
	if err := b.connect(); err != nil {
		return nil, err
	}
	err = each.Do(len(b.m.Members), func(i int) error {
		mm := b.m.Members[i]
		stack.Push("member "+mm.Name, func(ctx context.Context) error { return removeMember(ctx, s.Name, mm.Name) })
		if err := b.makeMember(ctx, i); err != nil {
			return fmt.Errorf("make member %s: %w", mm.Name, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	l = opened(b.m)
	if err := p.ready(ctx, l); err != nil {
		return nil, err
	}
	b.m.Ready = true
	if err := b.m.Write(runDir); err != nil {
		return nil, err
	}
	stack.Release()
	return opened(b.m), nil
}

// connect makes what is missing of the members' networks, of all of them before
// the first etcd starts: what it sends to a member without a link is not refused
// but lost, and the next try of TCP comes a second later.
func (b *build) connect() error {
	return each.Do(len(b.names), b.net.ensureMember)
}

// makeMember makes the rest of one member and starts its etcd.
func (b *build) makeMember(ctx context.Context, i int) error {
	mm := b.m.Members[i]
	for _, dir := range []string{mm.Dir, mm.StateDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make its directory: %w", err)
		}
	}
	if b.m.Spec.Disk.Kind == "fault" {
		if err := agent.MakeDisk(ctx, b.m.Spec.Disk, agent.DiskDir(mm.StateDir)); err != nil {
			return err
		}
	}
	if err := b.startAgent(ctx, i); err != nil {
		return err
	}
	c := dial(mm, b.m.Spec.Disk)
	defer c.Close()
	return agent.StartEtcd(ctx, mm.Name, c)
}

// startTimeout bounds the start of an agent, the recovery of its file system
// included.
const startTimeout = time.Minute
