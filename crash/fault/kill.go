package fault

import (
	"context"

	"github.com/etcdlab/etcdlab/lab"
)

// Kill ends etcd with SIGKILL; the page cache and the disk stay.
type Kill struct{}

func (*Kill) Needs(m lab.Member) error { return needs[lab.Runner](m) }

func (*Kill) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	err := each(targets, func(m lab.Member) error { return kill(ctx, s, m) })
	return Effect{Observed: err == nil, Message: "reaped after SIGKILL"}, err
}

func (*Kill) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	return each(targets, func(m lab.Member) error { return s.start(ctx, m) })
}
