package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/internal/netns"
	"github.com/etcdlab/etcdlab/lab"
)

// SetLink moves the other end of the member's link, from outside of etcd's
// namespace: it sees its carrier go, and nothing of it gets out.
func (a *Agent) SetLink(_ context.Context, up bool) error {
	if a.cfg.Port == "" {
		return a.lacks("Linker", "etcd shares the network of its agent, which has no link to take down")
	}
	if !up {
		a.setForwards(false)
	} else {
		defer func() { a.setForwards(a.status().LinkUp) }()
	}
	h, err := netns.Handle(a.cfg.SwitchNS)
	if err != nil {
		return err
	}
	defer h.Close()
	port, err := h.LinkByName(a.cfg.Port)
	if err != nil {
		return fmt.Errorf("find the port %s of %s in %s: %w", a.cfg.Port, a.cfg.Member, a.cfg.SwitchNS, err)
	}
	set := h.LinkSetDown
	if up {
		set = h.LinkSetUp
	}
	if err := set(port); err != nil {
		return fmt.Errorf("set the link of %s (up %v): %w", a.cfg.Member, up, err)
	}
	a.mu.Lock()
	a.linkUp = up
	a.mu.Unlock()
	return nil
}

func (a *Agent) setForwards(up bool) {
	for _, f := range a.forwards {
		f.SetLink(up)
	}
}

// lacks is the error of what this agent cannot do.
func (a *Agent) lacks(capability, reason string) error {
	return &lab.UnsupportedError{Member: a.cfg.Member, Capability: capability, Reason: reason}
}

// faultable gives the disk if it is one that can fail.
func (a *Agent) faultable(capability string) (machineDisk, error) {
	if a.disk == nil {
		return nil, a.lacks(capability, "its disk is plain: no disk faults, no power loss")
	}
	return a.disk, nil
}

// Cut takes the disk's power, which ends a hold.
func (a *Agent) Cut(ctx context.Context) (disk.CutRecord, error) {
	d, err := a.faultable("PowerCutter")
	if err != nil {
		return disk.CutRecord{}, err
	}
	r, err := d.cut(ctx)
	if err != nil {
		return r, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cut, a.holding = true, false
	return r, nil
}

func (a *Agent) unpowered() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cut
}

// Hold lets no flush complete.
func (a *Agent) Hold(ctx context.Context, longest time.Duration) (lab.Held, error) {
	d, err := a.faultable("PowerCutter")
	if err != nil {
		return lab.Held{}, err
	}
	a.setHolding(true)
	start := time.Now()
	held, err := d.hold(ctx, longest)
	held.Took = time.Since(start)
	return held, err
}

// Release ends a hold.
func (a *Agent) Release(ctx context.Context) error {
	d, err := a.faultable("PowerCutter")
	if err != nil {
		return err
	}
	err = d.release(ctx)
	a.setHolding(false)
	return err
}

func (a *Agent) setHolding(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.holding = on
}

// Restore gives the disk power again, in the chosen crash state.
func (a *Agent) Restore(ctx context.Context, policy disk.Policy, seed uint64) (lab.Restored, error) {
	d, err := a.faultable("PowerCutter")
	if err != nil {
		return lab.Restored{}, err
	}
	if p := a.current(); p.alive() {
		return lab.Restored{}, Conflict("restore the disk of %s: etcd (process %d) still runs; kill it first", a.cfg.Member, p.pid)
	}
	r, err := d.restore(ctx, policy, seed)
	if err == nil {
		a.lookWiped()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cut = !d.powered()
	var u *unmountable
	switch {
	case err == nil:
		a.diskFail = ""
	case errors.As(err, &u):
		a.diskFail = err.Error()
		return r, &lab.UnmountableError{Member: a.cfg.Member, Reason: err.Error(), Choice: r.Choice}
	}
	return r, err
}

// CutLog writes the last cut's part of the write log.
func (a *Agent) CutLog(_ context.Context, w io.Writer) error {
	d, err := a.faultable("PowerCutter")
	if err != nil {
		return err
	}
	return d.cutLog(w)
}

// SetDiskFaults replaces the armed faults.
func (a *Agent) SetDiskFaults(ctx context.Context, faults []disk.Fault) error {
	d, err := a.faultable("DiskFaulter")
	if err != nil {
		return err
	}
	return d.setFaults(ctx, faults)
}

// DiskFaults gives the armed faults.
func (a *Agent) DiskFaults(context.Context) ([]disk.FaultState, error) {
	d, err := a.faultable("DiskFaulter")
	if err != nil {
		return nil, err
	}
	return d.faults(), nil
}

// SetDiskProfile changes what kind of disk it is.
func (a *Agent) SetDiskProfile(ctx context.Context, profile string) error {
	d, err := a.faultable("DiskFaulter")
	if err != nil {
		return err
	}
	return d.setProfile(ctx, profile)
}

// DiskStats counts what the disk did.
func (a *Agent) DiskStats(context.Context) (disk.Stats, error) {
	d, err := a.faultable("DiskFaulter")
	if err != nil {
		return disk.Stats{}, err
	}
	return d.stats(), nil
}
