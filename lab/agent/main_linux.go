package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// The helpers that the agent runs its own binary as.
const (
	helperJoin = "join" // PROCS-FILES PROGRAM ARG...
	helperTar  = "tar"  // DIR
	helperKeep = "keep" // FILE
)

// Main is the hidden command `etcdlab agent`: `--dir DIR` serves the member whose
// agent.json is in DIR until it is told to shut down.
func Main(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case helperJoin:
			return join(args[1:])
		case helperTar:
			if len(args) != 2 {
				return errors.New("usage: " + helperTar + " DIR")
			}
			return tarDir(args[1], os.Stdout)
		case helperKeep:
			if len(args) != 2 {
				return errors.New("usage: " + helperKeep + " FILE")
			}
			return keep(args[1])
		case HelperThaw:
			if len(args) != 2 {
				return errors.New("usage: " + HelperThaw + " CONTAINER-ID")
			}
			return thaw(args[1])
		case helperBlockIO:
			return serveBlockIO(args[1:])
		}
	}
	return ServeCommand(ctx, "agent", args, func(ctx context.Context, dir string, ready func(error)) error {
		err := Serve(ctx, dir, ready)
		if err != nil {
			ready(errors.New(oneLine(err))) // does nothing once it was ready
		}
		return err
	})
}

// Serve runs the agent of the member in dir; ready is called once it answers.
func Serve(ctx context.Context, dir string, ready func(error)) error {
	cfg, err := readConfig(dir)
	if err != nil {
		return err
	}
	ctx, stop, log := Begin(ctx)
	defer stop()
	if os.Getpid() == 1 {
		go reap(ctx)
	}
	a, err := open(ctx, cfg, log)
	if err != nil {
		return fmt.Errorf("start the agent of %s: %w", cfg.Member, err)
	}
	err = ServeHost(ctx, dir, cfg.Listen, cfg.TLS, a, func(err error) {
		log.Info("agent ready", "lab", cfg.Lab, "member", cfg.Member, "pid", os.Getpid())
		ready(err)
	})
	if err != nil {
		return fmt.Errorf("agent of %s: %w", cfg.Member, err)
	}
	log.Info("agent ends")
	return nil
}
