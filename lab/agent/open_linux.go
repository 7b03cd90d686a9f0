package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/etcdlab/etcdlab/lab/wire"
)

// open prepares the member: control groups, network, disk, mount. A disk that does
// not mount leaves an agent that answers with State off.
func open(ctx context.Context, cfg *Config, log *slog.Logger) (*Agent, error) {
	a := &Agent{cfg: cfg, log: log, linkUp: true}
	a.life, a.end = context.WithCancel(context.Background())
	if err := a.openGroups(); err != nil {
		return nil, err
	}
	a.bounds = openBounds(cfg, a.group)
	if err := a.readSettings(); err != nil {
		return nil, err
	}
	if cfg.Inside != nil {
		if err := makeInside(cfg); err != nil {
			return nil, err
		}
	}
	if cfg.Port != "" {
		// A killed agent may have left a wire, behind which etcd would be mute.
		if err := wire.Clear(a.place()); err != nil {
			return nil, err
		}
	}
	if err := a.openDisk(ctx); err != nil {
		return nil, err
	}
	for _, f := range cfg.Forward {
		fw, err := NewForwarder(ctx, f)
		if err != nil {
			return nil, errors.Join(err, a.Shutdown(context.WithoutCancel(ctx), false))
		}
		a.forwards = append(a.forwards, fw)
	}
	return a, nil
}

// openDisk opens and mounts it. One that does not mount is no error.
func (a *Agent) openDisk(ctx context.Context) (err error) {
	cfg := a.cfg
	if cfg.Disk.Kind == "plain" {
		if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
			return fmt.Errorf("make the data directory: %w", err)
		}
		a.lookWiped()
		return nil
	}
	if cfg.Format && cfg.Disk.Kind == "fault" {
		if err := firstDisk(ctx, cfg); err != nil {
			return err
		}
	}
	if a.disk, err = openDisk(cfg); err != nil {
		return err
	}
	if _, err := a.disk.powerOn(ctx); err != nil {
		var u *unmountable
		if !errors.As(err, &u) {
			return errors.Join(err, a.disk.close(ctx, false))
		}
		a.log.Error("the disk does not mount", "error", err)
		a.diskFail = err.Error()
		return nil
	}
	a.lookWiped()
	return nil
}
