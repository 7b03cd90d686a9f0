package docker

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdlab/etcdlab/internal/each"
	"github.com/etcdlab/etcdlab/internal/undo"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Bounds of one request to the engine, and of the start of an agent, the
// making and the recovery of its file system included.
const (
	callTimeout  = 60 * time.Second
	startTimeout = 60 * time.Second
)

// finish lets a request that makes something come to its end, whatever becomes
// of ctx: one that is given up half-way may still make it, after we looked for
// what there is to undo.
func finish(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
}

// Up makes the lab, or makes an existing one whole again.
func (p *Provider) Up(ctx context.Context, s *spec.Lab, images map[string]lab.Binaries) (*lab.Lab, error) {
	if err := lab.CheckMembers(s, images); err != nil {
		return nil, err
	}
	if err := p.Check(ctx, s); err != nil {
		return nil, err
	}
	unlock, err := p.Exclusive(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	f, err := p.discover(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	if f.any() && f.spec != nil && f.born() {
		return p.converge(ctx, f, s, images)
	}
	if f.any() {
		// What an interrupted up left has no data yet: start afresh.
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
	dir, err := labDir(s.Name)
	if err != nil {
		return nil, err
	}
	stack.Push("directory of lab "+s.Name, func(context.Context) error { return os.RemoveAll(dir) })
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the lab's directory: %w", err)
	}
	made, err := p.prepare(ctx, s, images)
	if err != nil {
		return nil, err
	}
	// There was nothing of the lab, so what has its labels was made here.
	stack.Push("containers, networks and volumes of lab "+s.Name, func(ctx context.Context) error { return p.sweep(ctx, s.Name) })
	p.say("making the network of lab %s", s.Name)
	subnet, err := p.makeNetwork(ctx, s, "")
	if err == nil && s.Disk.Kind == "plain" {
		err = p.makeControl(ctx, s, subnet)
	}
	if err != nil {
		return nil, err
	}
	if err := p.makeMembers(ctx, s, subnet, images, made, dir); err != nil {
		return nil, err
	}
	l, err = p.start(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	if err := mark(s.Name); err != nil {
		closeAll(l)
		return nil, err
	}
	stack.Release()
	return l, nil
}

// prepared is what members are made with.
type prepared struct {
	ids     map[string]string // of the image in the engine, by member
	machine machine
}

// prepare loads the images of all members.
func (p *Provider) prepare(ctx context.Context, s *spec.Lab, images map[string]lab.Binaries) (*prepared, error) {
	arch, err := p.Platform(ctx)
	if err != nil {
		return nil, err
	}
	on, err := p.inspectMachine(ctx, s)
	if err != nil {
		return nil, err
	}
	r := &prepared{ids: map[string]string{}, machine: on}
	for _, sm := range s.Members { // one by one: most are the same
		if r.ids[sm.Name], err = p.load(ctx, images[sm.Name], arch); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// makeMembers makes the volumes and containers of all members, complete, before
// the first is started.
func (p *Provider) makeMembers(ctx context.Context, s *spec.Lab, subnet netip.Prefix, images map[string]lab.Binaries, with *prepared, dir string) error {
	all := p.plan(s, subnet, images)
	files, err := certificates(dir, all)
	if err != nil {
		return err
	}
	p.say("making %d members", len(all))
	return each.Do(len(all), func(i int) error {
		m := all[i]
		if err := p.makeVolume(ctx, m); err != nil {
			return err
		}
		if err := p.makeContainer(ctx, m, with); err != nil {
			return err
		}
		return p.fill(ctx, m, files[m.name])
	})
}

// start starts the containers, then the etcds, and waits until all serve.
func (p *Provider) start(ctx context.Context, name string) (*lab.Lab, error) {
	f, err := p.discover(ctx, name)
	if err != nil {
		return nil, err
	}
	p.say("starting %d containers", len(f.spec.Members))
	err = each.Do(len(f.spec.Members), func(i int) error {
		return p.startContainer(ctx, f.spec, f.spec.Members[i].Name)
	})
	if err != nil {
		return nil, err
	}
	// The ports are known only now.
	if f, err = p.discover(ctx, name); err != nil {
		return nil, err
	}
	l, err := p.opened(f)
	if err != nil {
		return nil, err
	}
	// All agents have their members' networks made before the first etcd starts:
	// what it sends to a member without a network is not refused but lost, and
	// the next try of TCP comes a second later.
	err = each.Do(len(l.Members), func(i int) error { return p.awaitAgent(ctx, l.Members[i].(*member)) })
	if err == nil {
		err = each.Do(len(l.Members), func(i int) error {
			m := l.Members[i].(*member)
			return agent.StartEtcd(ctx, m.name, m)
		})
	}
	if err == nil {
		err = p.ready(ctx, l)
	}
	if err != nil {
		closeAll(l)
		return nil, err
	}
	return l, nil
}

// closeAll drops the connections to the agents.
func closeAll(l *lab.Lab) {
	for _, m := range l.Members {
		m.(*member).Close()
	}
}

// marker says that all members of the lab have served once.
const marker = "ready"

func mark(name string) error {
	dir, err := labDir(name)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, marker), nil, 0o600); err != nil {
		return fmt.Errorf("note that lab %s is ready: %w", name, err)
	}
	return nil
}

func marked(name string) bool {
	dir, err := labDir(name)
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, marker))
	return err == nil
}
