package docker

import (
	"bytes"
	"context"

	"github.com/etcdlab/etcdlab/internal/tail"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/etcd"
)

// ready waits until every member serves.
func (p *Provider) ready(ctx context.Context, l *lab.Lab) error {
	p.say("waiting for %d members to serve", len(l.Members))
	var all []etcd.Awaited
	for _, m := range l.Members {
		m := m.(*member)
		all = append(all, etcd.Awaited{
			Name: m.name, Version: m.binaries.Version, ClientURL: m.clientURL(), Info: m.Info,
			Log: func() string { return "its log ends:\n" + m.lastLines(ctx) },
		})
	}
	return etcd.Await(ctx, l, etcd.ReadyDeadline(l.Spec.Etcd.Args), all)
}

// lastLines is the end of etcd's log, indented, for an error: after a failed up
// there is nothing left to look into.
func (m *member) lastLines(ctx context.Context) string {
	const lines = 8
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	var log bytes.Buffer
	if err := m.Logs(ctx, &log, false); err != nil {
		return "  (" + oneLine(err.Error()) + ")"
	}
	return tail.Lines(log.String(), lines)
}
