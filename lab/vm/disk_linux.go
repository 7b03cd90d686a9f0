package vm

import (
	"context"
	"regexp"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
)

// dmOr lets the agent in the guest do it, where that has device mapper under
// the member's file system; a plain disk cannot.
func dmOr[C, A any](h *host, none A, capability string, do func(C) (A, error)) (A, error) {
	if h.c.Disk.Kind != "dm" {
		return none, &lab.UnsupportedError{Member: h.c.Member, Capability: capability, Reason: agent.LacksOf(h.c.Disk.Kind, h.c.Disk.FS)[capability]}
	}
	guest, err := h.inside("reach the disk")
	if err != nil {
		return none, err
	}
	c, ok := any(guest).(C)
	if !ok {
		return none, &lab.UnsupportedError{Member: h.c.Member, Capability: capability, Reason: "its agent has no " + capability}
	}
	return do(c)
}

func (h *host) SetDiskFaults(ctx context.Context, faults []disk.Fault) error {
	if h.engine == nil {
		_, err := dmOr(h, struct{}{}, "DiskFaulter", func(g lab.DiskFaulter) (struct{}, error) {
			return struct{}{}, g.SetDiskFaults(ctx, faults)
		})
		return err
	}
	if err := h.engine.SetFaults(nil); err != nil {
		return err
	}
	if err := h.placer.Faults(ctx, faults); err != nil {
		return err
	}
	if err := h.engine.SetFaults(faults); err != nil {
		return agent.Invalid("%v", err)
	}
	return nil
}

func (h *host) DiskFaults(ctx context.Context) ([]disk.FaultState, error) {
	if h.engine == nil {
		return dmOr(h, nil, "DiskFaulter", func(g lab.DiskFaulter) ([]disk.FaultState, error) { return g.DiskFaults(ctx) })
	}
	return h.engine.Faults(), nil
}

func (h *host) SetDiskProfile(ctx context.Context, profile string) error {
	if h.engine == nil {
		_, err := dmOr(h, struct{}{}, "DiskFaulter", func(g lab.DiskFaulter) (struct{}, error) {
			return struct{}{}, g.SetDiskProfile(ctx, profile)
		})
		return err
	}
	if err := h.engine.SetProfile(profile); err != nil {
		return agent.Invalid("%v", err)
	}
	return nil
}

func (h *host) DiskStats(ctx context.Context) (disk.Stats, error) {
	if h.engine == nil {
		return dmOr(h, disk.Stats{}, "DiskFaulter", func(g lab.DiskFaulter) (disk.Stats, error) { return g.DiskStats(ctx) })
	}
	return h.engine.Stats(), nil
}

// mounted is what the agent in the guest prints when its disk is mounted.
var mounted = regexp.MustCompile(`disk mounted in ([0-9.µa-z]+)`)

// mountTime is how long the guest says that mounting took, 0 if it does not.
func (h *host) mountTime() time.Duration {
	found := mounted.FindStringSubmatch(h.console.thisBoot())
	if found == nil {
		return 0
	}
	d, _ := time.ParseDuration(found[1])
	return d
}

func conflictPowered(member string) error {
	return agent.Conflict("restore the disk of %s: it has power and is mounted; cut it first", member)
}

// off says that the machine does not run.
func (h *host) off(what string) error {
	return agent.Conflict("%s of %s: it is off; boot it first (etcdlab up)", what, h.c.Member)
}
