package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// converge makes an existing lab of the same spec what it should be: every
// agent there, every disk powered, honest as the spec says and without faults,
// every link up, every etcd running.
func (p *Provider) converge(ctx context.Context, m *lab.Manifest, s *spec.Lab, images map[string]lab.Binaries) (*lab.Lab, error) {
	if d := lab.Difference(m.Spec, m.Binaries(), s, images); d != "" {
		return nil, &lab.SpecChangedError{Lab: s.Name, Diff: d}
	}
	b, err := loadBuild(p, m)
	if err != nil {
		return nil, err
	}
	if err := b.net.ensureSwitch(); err != nil {
		return nil, err
	}
	if err := b.connect(); err != nil {
		return nil, err
	}
	if err := lab.Mend(ctx, s.Name, m.Names(), func(i int) error { return b.heal(ctx, i) }); err != nil {
		return nil, err
	}
	l := opened(m)
	return l, p.ready(ctx, l)
}

// heal brings one member back.
func (b *build) heal(ctx context.Context, i int) error {
	mm := b.m.Members[i]
	c := dial(mm, b.m.Spec.Disk)
	defer c.Close()
	ask, cancel := context.WithTimeout(ctx, agent.InfoTimeout)
	st, err := c.Status(ask)
	cancel()
	if err != nil {
		// Dead, or as good as dead. Its disk restarts from what is durable.
		b.p.say("the agent of %s is gone; starting it again", mm.Name)
		return b.renew(ctx, c, i)
	}
	sick, err := agent.Heal(ctx, c, b.m.Spec.Disk, mm.FailpointURL)
	if err != nil {
		return err
	}
	// What was done waited for its turn, so this is nobody's half-way.
	if st, err = c.Status(ctx); err != nil {
		return err
	}
	if b.m.Spec.Disk.Kind == "fault" && st.State == lab.StateStopped && readOnly(filepath.Join(mm.Dir, agent.DataMount)) {
		sick = true
	}
	if sick {
		b.p.say("the file system of %s has met failures of its disk; mounting it again", mm.Name)
		if err := c.Shutdown(ctx, false); err != nil {
			return err
		}
		return b.renew(ctx, c, i)
	}
	return c.Start(ctx)
}

// readOnly says that a file system takes no new file any more.
func readOnly(dir string) bool {
	f, err := os.CreateTemp(dir, ".etcdlab-*")
	if err == nil {
		_ = f.Close()
		err = os.Remove(f.Name())
	}
	return errors.Is(err, syscall.EROFS)
}

// renew starts the agent and etcd of a member of which neither runs.
func (b *build) renew(ctx context.Context, c *agent.Client, i int) error {
	mm := b.m.Members[i]
	if err := cleanMember(ctx, b.m.Name, mm.Name); err != nil {
		return err
	}
	if err := os.MkdirAll(mm.Dir, 0o700); err != nil {
		return fmt.Errorf("make its directory: %w", err)
	}
	if err := b.startAgent(ctx, i); err != nil {
		return err
	}
	return agent.StartEtcd(ctx, mm.Name, c)
}
