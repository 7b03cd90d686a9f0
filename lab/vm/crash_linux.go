package vm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcdlab/etcdlab/internal/tail"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
)

// crashTime bounds the end of a machine at full speed: a panic prints a lot.
const crashTime = 15 * time.Second

// CrashHost ends the machine, its disk's power aside: what the disk's cache
// holds stays.
func (h *host) CrashHost(ctx context.Context, how lab.HostCrash) error {
	m, _ := h.current()
	if !m.alive() {
		return h.off("crash the machine")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(float64(crashTime)*h.c.Slow))
	defer cancel()
	m.request()
	switch how {
	case lab.HostPanic:
		// A break and a letter on the serial line is sysrq: it needs nothing
		// of the guest but interrupts.
		if err := m.qmp.Execute(ctx, "chardev-send-break", map[string]string{"id": "console"}, nil); err != nil {
			return err
		}
		if _, err := h.console.send([]byte("c")); err != nil {
			return err
		}
	case lab.HostReset:
		if err := m.qmp.Execute(ctx, "system_reset", nil, nil); err != nil && m.alive() {
			return err
		}
	case lab.HostHang:
		// All of QEMU: QMP's stop would flush the disk, which a machine that
		// hangs does not.
		f, err := h.freezer.freeze(ctx, m.pid, crashTime)
		if err == nil && !f.Observed {
			err = fmt.Errorf("hang the machine of %s: %d of its threads still run", h.c.Member, f.Running+f.Blocked)
		}
		h.mu.Lock()
		h.hung = true
		h.mu.Unlock()
		h.gate.set(false)
		return err
	default:
		return agent.Invalid("crash the machine: %q is none of %v", how, lab.HostCrashes)
	}
	select {
	case <-m.done:
	case <-ctx.Done():
		return fmt.Errorf("wait for the machine of %s to end (%s): %w; its serial console ends:\n%s",
			h.c.Member, how, ctx.Err(), tail.Lines(h.console.thisBoot(), 8))
	}
	if how == lab.HostPanic && lastPanic(h.console.thisBoot()) == "" {
		return errors.New("crash the machine: it ended without a panic on its console")
	}
	return nil
}

// Boot brings a machine back that ended, or hangs. Its disk had power all the
// time: what its cache holds is not lost.
func (h *host) Boot(ctx context.Context) error {
	h.mu.Lock()
	m, cut, hung := h.machine, h.cut, h.hung
	h.mu.Unlock()
	switch {
	case cut:
		return agent.Conflict("boot the machine of %s: its disk has no power; restore it first", h.c.Member)
	case m.alive() && !hung:
		return nil
	}
	if err := h.killMachine(ctx); err != nil {
		return err
	}
	if h.device != nil {
		if err := h.device.Disconnect(ctx); err != nil {
			return err
		}
	}
	_, err := h.bootMounted(ctx)
	return err
}
