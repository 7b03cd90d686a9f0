package agent

import (
	"context"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

// InfoTimeout is how long an agent may take to say how it is, the answer of a
// guest's included; it waits for nothing to do so.
const InfoTimeout = 5 * time.Second

// InfoOf is what the manifest and the agent know of a member, whose etcd is the
// program of that path there. An agent that does not answer is State lost, not an
// error.
func InfoOf(ctx context.Context, mm lab.ManifestMember, etcd string, status func(context.Context) (Status, error)) (lab.Info, error) {
	info := lab.Info{
		Name: mm.Name, ClientURL: mm.ClientURL, PeerURL: mm.PeerURL, FailpointURL: mm.FailpointURL,
		DataDir: mm.DataDir, LogFile: mm.LogFile, State: lab.StateLost,
		Version: mm.Binaries.Version, Args: append([]string{etcd}, mm.Args...),
	}
	ask, cancel := context.WithTimeout(ctx, InfoTimeout)
	defer cancel()
	s, err := status(ask)
	if err != nil {
		return info, ctx.Err()
	}
	s.Fill(&info)
	return info, nil
}

// StartEtcd starts the etcd of a member, unless its disk does not mount.
func StartEtcd(ctx context.Context, member string, h Host) error {
	s, err := h.Status(ctx)
	if err != nil {
		return err
	}
	if s.DiskFail != "" {
		return &lab.UnmountableError{Member: member, Reason: s.DiskFail}
	}
	return h.Start(ctx)
}
