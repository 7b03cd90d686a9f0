package vm

import (
	"context"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
)

// member is a member of a lab of machines; the agent beside its machine has the
// capabilities.
type member struct {
	agent.MachineClient
	made lab.ManifestMember
}

// Info is what the manifest and the agent know. An agent that does not answer
// is State lost, not an error.
func (m *member) Info(ctx context.Context) (lab.Info, error) {
	return agent.InfoOf(ctx, m.made, guestEtcd, m.Status)
}

// Configure brings the programs of another build into the guest first.
func (m *member) Configure(ctx context.Context, s *lab.Settings) error {
	return m.ConfigureAt(ctx, s)
}
