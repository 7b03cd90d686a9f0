package vm

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

// A power loss: Hold, Freeze, SetLink, Cut, Kill, Restore. QEMU is frozen by the
// kernel and ends by SIGKILL. QMP's stop, and every orderly end of QEMU, would
// drain and flush the guest's disk first, so that no write was ever uncovered
// and every cut kept everything (QEMU, softmmu/cpus.c: do_vm_stop calls
// bdrv_flush_all).

// Start starts etcd in the guest. The members of a lab start it one after the
// other, for the reason that package agent gives, but not where guests are
// emulated: an etcd then takes 2 s to open its port, and its peers' seconds of
// waiting are over when the last one has.
func (h *host) Start(ctx context.Context) error {
	guest, err := h.inside("start etcd")
	if err != nil {
		return err
	}
	if h.c.Slow > 1 {
		return guest.Start(ctx)
	}
	unlock, err := lab.LockFile(ctx, filepath.Join(filepath.Dir(h.c.dir), "starting"))
	if err != nil {
		return err
	}
	defer unlock()
	return guest.Start(ctx)
}

func (h *host) Stop(ctx context.Context) error {
	if m, _ := h.current(); !m.alive() {
		return nil
	}
	if err := h.Thaw(ctx); err != nil {
		return err
	}
	guest, err := h.inside("stop etcd")
	if err != nil {
		return err
	}
	return guest.Stop(ctx)
}

// Kill ends etcd; after a cut, which took the machine's power too, the machine.
func (h *host) Kill(ctx context.Context) error {
	h.mu.Lock()
	m, cut, hung := h.machine, h.cut, h.hung
	h.mu.Unlock()
	if !m.alive() {
		return nil
	}
	if cut || hung {
		return h.killMachine(ctx)
	}
	// Where etcd alone is frozen, in a guest with device mapper, it must not run
	// again on a disk that swallows writes: the guest kills it and thaws then.
	if h.c.Disk.Kind != "dm" {
		if err := h.Thaw(ctx); err != nil {
			return err
		}
	}
	guest, err := h.inside("kill etcd")
	if err != nil {
		return err
	}
	return guest.Kill(ctx)
}

// Freeze freezes the whole machine.
func (h *host) Freeze(ctx context.Context, deadline time.Duration) (lab.Frozen, error) {
	m, guest := h.current()
	if !m.alive() {
		return lab.Frozen{}, h.off("freeze the machine")
	}
	if h.c.Disk.Kind == "dm" {
		// Its disk is cut from inside, which must go on.
		return guest.Freeze(ctx, deadline)
	}
	f, err := h.freezer.freeze(ctx, m.pid, deadline)
	if err != nil {
		return f, err
	}
	h.mu.Lock()
	h.frozen = true
	h.mu.Unlock()
	h.gate.set(false)
	return f, nil
}

func (h *host) Thaw(ctx context.Context) error {
	m, guest := h.current()
	if !m.alive() {
		return nil
	}
	if h.c.Disk.Kind == "dm" {
		return guest.Thaw(ctx)
	}
	if err := h.freezer.thaw(ctx, m.pid); err != nil {
		return err
	}
	h.mu.Lock()
	h.frozen, h.hung = false, false
	up := h.linkUp
	h.mu.Unlock()
	h.setGate()
	return h.carrier(ctx, m, up)
}

// SetLink takes the lab's network and the forwards off the machine. A machine
// that runs sees its carrier go; one that is frozen cannot, and needs not.
func (h *host) SetLink(ctx context.Context, up bool) error {
	h.mu.Lock()
	h.linkUp = up
	m, frozen := h.machine, h.frozen || h.hung
	h.mu.Unlock()
	h.port.setUp(up)
	h.setGate()
	if frozen || !m.alive() {
		return nil
	}
	return h.carrier(ctx, m, up)
}

// carrier shows the guest the state of its link.
func (h *host) carrier(ctx context.Context, m *machine, up bool) error {
	ctx, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	err := m.qmp.Execute(ctx, "set_link", map[string]any{"name": "card", "up": up}, nil)
	if err != nil && !m.alive() {
		return nil
	}
	return err
}

func (h *host) Hold(ctx context.Context, longest time.Duration) (lab.Held, error) {
	if h.engine == nil {
		return dmOr(h, lab.Held{}, "PowerCutter", func(g lab.PowerCutter) (lab.Held, error) { return g.Hold(ctx, longest) })
	}
	start := time.Now()
	flushes, uncovered := h.engine.Hold(ctx, longest)
	return lab.Held{Flushes: flushes, Uncovered: uncovered, Took: time.Since(start)}, nil
}

func (h *host) Release(ctx context.Context) error {
	if h.engine == nil {
		_, err := dmOr(h, struct{}{}, "PowerCutter", func(g lab.PowerCutter) (struct{}, error) { return struct{}{}, g.Release(ctx) })
		return err
	}
	h.engine.Release()
	return nil
}

func (h *host) Cut(ctx context.Context) (disk.CutRecord, error) {
	if h.engine == nil {
		return dmOr(h, disk.CutRecord{}, "PowerCutter", func(g lab.PowerCutter) (disk.CutRecord, error) { return g.Cut(ctx) })
	}
	r := h.engine.Cut() // which ends a hold
	h.mu.Lock()
	h.cut = true
	h.mu.Unlock()
	h.gate.set(false)
	return r, nil
}

// Restore ends the machine, chooses the crash state and boots. After a boot
// whose disk did not mount it only boots again: the state was chosen.
func (h *host) Restore(ctx context.Context, policy disk.Policy, seed uint64) (r lab.Restored, err error) {
	if h.engine == nil {
		return dmOr(h, lab.Restored{}, "PowerCutter", func(g lab.PowerCutter) (lab.Restored, error) { return g.Restore(ctx, policy, seed) })
	}
	h.mu.Lock()
	well := h.machine.alive() && !h.cut && h.diskFail == ""
	h.mu.Unlock()
	if well {
		return r, conflictPowered(h.c.Member)
	}
	if err := h.killMachine(ctx); err != nil {
		return r, err
	}
	// What a killed QEMU had sent may still be in its socket.
	if err := h.device.Disconnect(ctx); err != nil {
		return r, err
	}
	if !h.engine.Stats().Powered {
		choice, err := h.engine.Restore(policy, seed)
		if err != nil {
			return r, err
		}
		r.Choice = choice
		h.mu.Lock()
		h.cut = false
		h.mu.Unlock()
	}
	r.Mount, err = h.bootMounted(ctx)
	var u *lab.UnmountableError
	if errors.As(err, &u) {
		u.Choice = r.Choice
	}
	return r, err
}

// bootMounted boots, and says how long the guest took to mount its disk.
func (h *host) bootMounted(ctx context.Context) (time.Duration, error) {
	if err := h.boot(ctx); err != nil {
		return 0, err
	}
	h.mu.Lock()
	m, up, fail := h.machine, h.linkUp, h.diskFail
	h.mu.Unlock()
	if !up {
		if err := h.carrier(ctx, m, false); err != nil {
			return 0, err
		}
	}
	if fail != "" {
		return 0, &lab.UnmountableError{Member: h.c.Member, Reason: fail}
	}
	return h.mountTime(), nil
}

func (h *host) CutLog(ctx context.Context, w io.Writer) error {
	if h.engine == nil {
		_, err := dmOr(h, struct{}{}, "PowerCutter", func(g lab.PowerCutter) (struct{}, error) { return struct{}{}, g.CutLog(ctx, w) })
		return err
	}
	return h.engine.WriteCutLog(w)
}
