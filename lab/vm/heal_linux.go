package vm

import (
	"context"
	"fmt"
	"os"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// converge makes an existing lab of the same spec what it should be: every
// agent and machine there, every disk powered, honest as the spec says and
// without faults, every link up, every etcd running.
func (p *Provider) converge(ctx context.Context, m *lab.Manifest, s *spec.Lab, images map[string]lab.Binaries) (*lab.Lab, error) {
	if d := lab.Difference(m.Spec, m.Binaries(), s, images); d != "" {
		return nil, &lab.SpecChangedError{Lab: s.Name, Diff: d}
	}
	b := &build{p: p, m: m}
	if err := b.chooseMachine(ctx); err != nil {
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
	c := client(b.m, mm)
	defer c.Close()
	ask, cancel := context.WithTimeout(ctx, agent.InfoTimeout)
	st, err := c.Status(ask)
	cancel()
	switch {
	case err != nil:
		// Dead, or as good as dead. Its disk restarts from what is durable.
		b.p.say("the agent of %s is gone; starting it again", mm.Name)
		return b.renew(ctx, i)
	case st.State == lab.StateLost:
		b.p.say("the machine of %s does not answer; starting it again", mm.Name)
		return b.renew(ctx, i)
	}
	sick, err := agent.Heal(ctx, c, b.m.Spec.Disk, mm.FailpointURL)
	if err != nil {
		return err
	}
	if sick {
		b.p.say("the file system of %s has met failures of its disk; booting it again", mm.Name)
		if err := c.Shutdown(ctx, false); err != nil {
			return err
		}
		return b.renew(ctx, i)
	}
	return agent.StartEtcd(ctx, mm.Name, c)
}

// renew starts the agent, machine and etcd of a member of which none is to run.
func (b *build) renew(ctx context.Context, i int) error {
	mm := b.m.Members[i]
	if err := cleanMember(ctx, b.m.Name, mm.Name); err != nil {
		return err
	}
	if err := os.MkdirAll(mm.Dir, 0o700); err != nil {
		return fmt.Errorf("make its directory: %w", err)
	}
	// Its files in the guest are not the disk's: they may be of an older etcdlab.
	if err := b.writeInitrd(i); err != nil {
		return err
	}
	return b.start(ctx, i)
}
