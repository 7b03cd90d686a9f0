package vm

import (
	"context"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
)

// placeEvery is how often the guest is asked where files lie, while a fault or a
// moment is of one.
const placeEvery = 50 * time.Millisecond

// placer tells the engine what the guest knows of its files.
func (h *host) newPlacer() *agent.Placer {
	return &agent.Placer{Engine: h.engine, Every: placeEvery, Extents: h.Extents}
}

// noEngine says why a disk that is not the engine's cannot do it.
func (h *host) noEngine(capability string) error {
	reason := agent.LacksOf(h.c.Disk.Kind, h.c.Disk.FS)[capability]
	if h.engine != nil && reason == "" {
		return nil
	}
	return &lab.UnsupportedError{Member: h.c.Member, Capability: capability, Reason: reason}
}

func (h *host) Extents(ctx context.Context, file string) ([]disk.Extent, error) {
	if err := h.noEngine("FileFaulter"); err != nil {
		return nil, err
	}
	guest, err := h.inside("find a file")
	if err != nil {
		return nil, err
	}
	return guest.Extents(ctx, file)
}

// HoldAt has the engine wait for operations of the disk. Of what etcd does the
// guest tells, so that such a hold begins a message later.
func (h *host) HoldAt(ctx context.Context, at lab.Moment, longest time.Duration) (held lab.Held, err error) {
	start := time.Now()
	defer func() { held.Took = time.Since(start) }()
	if err := h.noEngine("EventHolder"); err != nil {
		return held, err
	}
	if f, ok := agent.TriggerOf(at); ok {
		if err := h.placer.Moment(ctx, f.File); err != nil {
			return held, err
		}
		defer h.placer.Moment(ctx, "")
		return agent.HoldAt(ctx, h.engine, f, longest)
	}
	guest, err := h.inside("wait for etcd")
	if err != nil {
		return held, err
	}
	if held, err = guest.HoldAt(ctx, at, longest); err != nil || !held.Fired {
		return held, err
	}
	held.Flushes, held.Uncovered = h.engine.Hold(ctx, 100*time.Millisecond)
	return held, nil
}

// filler is the guest, whose file system it is.
func (h *host) filler() (*agent.Client, error) {
	if h.c.Disk.Kind == "plain" {
		return nil, &lab.UnsupportedError{Member: h.c.Member, Capability: "Filler", Reason: agent.LacksOf("plain", "")["Filler"]}
	}
	return h.inside("look at the space")
}

func (h *host) Fill(ctx context.Context, leave int64) (lab.Space, error) {
	guest, err := h.filler()
	if err != nil {
		return lab.Space{}, err
	}
	return guest.Fill(ctx, leave)
}

func (h *host) Unfill(ctx context.Context) (lab.Space, error) {
	guest, err := h.filler()
	if err != nil {
		return lab.Space{}, err
	}
	return guest.Unfill(ctx)
}

func (h *host) Space(ctx context.Context) (lab.Space, error) {
	guest, err := h.filler()
	if err != nil {
		return lab.Space{}, err
	}
	return guest.Space(ctx)
}

func (h *host) Damage(ctx context.Context, d lab.Damage) (lab.Damaged, error) {
	guest, err := h.inside("damage the data")
	if err != nil {
		return lab.Damaged{}, err
	}
	return guest.Damage(ctx, d)
}

func (h *host) Repair(ctx context.Context) ([]lab.Repaired, error) {
	guest, err := h.inside("repair the data")
	if err != nil {
		return nil, err
	}
	return guest.Repair(ctx)
}
