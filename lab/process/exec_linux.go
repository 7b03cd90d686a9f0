package process

import (
	"context"
	"io"
	"path/filepath"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
)

// Exec runs a command in the member's network namespace, directly: it may use
// the terminal, and needs no agent.
func (m *member) Exec(ctx context.Context, argv []string, in io.Reader, out, errout io.Writer) (exit int, err error) {
	c := &agent.Command{
		Member: m.made.Name, NetNS: lab.NetNS(m.lab.Name, m.made.Name), Tools: filepath.Dir(m.made.Binaries.Etcdctl),
		ClientURL: m.made.ClientURL, TLS: m.lab.TLS, Argv: argv, In: in, Out: out, Err: errout,
	}
	return c.Run(ctx)
}

// Logs writes etcd's log.
func (m *member) Logs(ctx context.Context, w io.Writer, follow bool) error {
	return agent.Follow(ctx, m.made.LogFile, w, follow)
}

// Exec runs a command on the host of a member by its name.
func (p *Provider) Exec(ctx context.Context, labName, memberName string, argv []string, stdin io.Reader, stdout, stderr io.Writer) (exit int, err error) {
	m, mm, err := made(labName, memberName)
	if err != nil {
		return 0, err
	}
	return (&member{lab: m, made: mm}).Exec(ctx, argv, stdin, stdout, stderr)
}
