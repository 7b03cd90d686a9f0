package vm

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/etcd"
	"github.com/etcdlab/etcdlab/lab/wire"
)

// gate is the host's ports that are passed on to the guest's. It is shut while
// the machine can neither say nor hear anything: a machine without power sends
// no FIN. When it opens again, what belonged to an earlier boot is reset, as its
// kernel would.
type gate struct{ open []*agent.Forwarder }

// openGate opens the ports, and shuts them. address is where a port of the
// guest is now, "" if nowhere.
func openGate(ctx context.Context, forwards []forward, clients *wire.Streams, address func(port int) string) (*gate, error) {
	g := &gate{}
	for _, w := range forwards {
		dial := func(ctx context.Context, _ string) (net.Conn, error) {
			to := address(w.Port)
			if to == "" {
				return nil, errors.New("the machine is off")
			}
			return new(net.Dialer).DialContext(ctx, "tcp", to)
		}
		f, err := agent.NewForwarderBy(ctx, agent.Forward{Listen: w.Listen, To: fmt.Sprintf("port %d of the guest", w.Port)}, dial)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w (has another program taken the port? etcdlab down, then up, chooses others)", err), g.close())
		}
		f.SetLink(false)
		if w.Port == etcd.ClientPort {
			f.Obey(clients)
		}
		g.open = append(g.open, f)
	}
	return g, nil
}

func (g *gate) set(open bool) {
	for _, f := range g.open {
		f.SetLink(open)
	}
}

func (g *gate) close() error {
	var errs []error
	for _, f := range g.open {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
