package vm

import (
	"context"
	"fmt"
	"time"

	"github.com/etcdlab/etcdlab/internal/tail"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/etcd"
)

// ready waits until every member serves.
func (p *Provider) ready(ctx context.Context, l *lab.Lab) error {
	p.say("waiting for %d members to serve", len(l.Members))
	var all []etcd.Awaited
	for _, m := range l.Members {
		made := m.(*member).made
		all = append(all, etcd.Awaited{
			Name: made.Name, Version: made.Binaries.Version, ClientURL: made.ClientURL, Info: m.Info, Patient: true,
			Log: func() string { return fmt.Sprintf("its log %s ends:\n%s", made.LogFile, tail.File(made.LogFile)) },
		})
	}
	limit := time.Duration(float64(etcd.ReadyDeadline(l.Spec.Etcd.Args)) * l.Slow)
	return etcd.Await(ctx, l, limit, all)
}
