package process

import (
	"context"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// member is a member of a lab of processes; its agent has the capabilities, but
// for those that need no agent on this very machine, where it may be dead.
type member struct {
	*agent.Client
	lab  *lab.Manifest
	made lab.ManifestMember
}

// dial makes the client of a member's agent.
func dial(mm lab.ManifestMember, disk spec.Disk) *agent.Client {
	return agent.NewClient(mm.Name, agent.At{Dir: mm.Dir}, agent.LacksOf(disk.Kind, disk.FS))
}

// Info is what the manifest and the agent know. An agent that does not answer
// is State lost, not an error.
func (m *member) Info(ctx context.Context) (lab.Info, error) {
	return agent.InfoOf(ctx, m.made, m.made.Binaries.Etcd, m.Status)
}
