package vm

import (
	"context"
	"fmt"
	"os"

	"github.com/etcdlab/etcdlab/lab/agent"
)

// AgentMain is the hidden command `etcdlab vm-agent`: `--dir DIR` runs the
// machine whose machine.json is in DIR, and serves its member there, until it is
// told to shut down.
func AgentMain(ctx context.Context, args []string) error {
	return agent.ServeCommand(ctx, "vm-agent", args, serve)
}

func serve(ctx context.Context, dir string, ready func(error)) error {
	c, err := readConfig(dir)
	if err != nil {
		return err
	}
	ctx, stop, log := agent.Begin(ctx)
	defer stop()
	h, err := openHost(ctx, c, log)
	if err != nil {
		return fmt.Errorf("start the machine of %s: %w", c.Member, err)
	}
	log.Info("agent ready", "lab", c.Lab, "member", c.Member, "pid", os.Getpid(), "qemu", h.machine.pid)
	return agent.ServeHost(ctx, dir, "", nil, h, ready)
}
