package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/nbd"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/wire"
)

var (
	_ agent.Host    = (*host)(nil)
	_ agent.Machine = (*host)(nil)
)

// host is a member's machine as the controller sees it. What only the inside of
// the guest can do is passed on to the agent there.
type host struct {
	c       *config
	log     *slog.Logger
	engine  *disk.Engine // nil where the disk is not the engine's
	device  *nbd.Device
	placer  *agent.Placer
	console *console
	port    *port
	gate    *gate
	clients *wire.Streams // rules of what passes the gate
	freezer *freezer

	life      context.Context // of what is beside the changes
	end       context.CancelFunc
	following sync.WaitGroup

	mu       sync.Mutex // guards what follows
	machine  *machine   // the last, nil if none was started
	guest    *agent.Client
	frozen   bool
	hung     bool // on purpose
	linkUp   bool
	cut      bool   // the disk has no power
	diskFail string // why the guest could not mount it
	last     agent.Status
	lastAt   time.Time
}

// openHost takes the member's disk and network, and boots its machine. One that
// does not boot is an error; a disk that does not mount is not.
func openHost(ctx context.Context, c *config, log *slog.Logger) (*host, error) {
	h, err := prepareHost(ctx, c, log)
	if err != nil {
		return nil, err
	}
	if err := h.boot(ctx); err != nil {
		return nil, errors.Join(err, h.close(context.WithoutCancel(ctx)))
	}
	return h, nil
}

// prepareHost is openHost up to the boot.
func prepareHost(ctx context.Context, c *config, log *slog.Logger) (h *host, err error) {
	h = &host{c: c, log: log, gate: &gate{}, linkUp: true, clients: wire.NewStreams()}
	h.life, h.end = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close(context.WithoutCancel(ctx)))
		}
	}()
	if c.Disk.Kind == "fault" {
		h.engine, err = disk.Open(disk.Options{
			Dir: agent.DiskDir(c.StateDir), Size: int64(c.Disk.Size), Profile: c.Disk.Profile, KeepLog: c.Disk.KeepLog,
		})
		if err != nil {
			return h, err
		}
		h.placer = h.newPlacer()
		if h.device, err = nbd.Attach(ctx, h.engine, c.dir); err != nil {
			return h, err
		}
	}
	if h.console, err = openConsole(filepath.Join(c.StateDir, consoleFile)); err != nil {
		return h, err
	}
	if h.port, err = openPort(c.dir, c.Peers); err != nil {
		return h, err
	}
	g, err := openGate(ctx, c.Forward, h.clients, h.address)
	if err != nil {
		return h, err
	}
	h.gate = g
	h.freezer = newFreezer(c.Lab, c.Member)
	return h, nil
}

// socket is where QEMU finds the engine, "" without one.
func (h *host) socket() string {
	if h.device == nil {
		return ""
	}
	return h.device.Path()
}

// address is where a port of the guest is reached now.
func (h *host) address(port int) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.machine.alive() || h.machine.ports[port] == 0 {
		return ""
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(h.machine.ports[port]))
}

// current is the machine and the agent in it.
func (h *host) current() (*machine, *agent.Client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.machine, h.guest
}

// setGate opens the gate if nothing keeps the machine silent.
func (h *host) setGate() {
	h.mu.Lock()
	open := h.linkUp && !h.frozen && !h.hung && h.machine.alive()
	h.mu.Unlock()
	h.gate.set(open)
}

// inside gives the agent in the guest, or says why it cannot be asked.
func (h *host) inside(what string) (*agent.Client, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.cut:
		return nil, agent.Conflict("%s of %s: its disk has no power; restore it first", what, h.c.Member)
	case !h.machine.alive():
		return nil, agent.Conflict("%s of %s: its machine is off; boot it first (etcdlab up)", what, h.c.Member)
	case h.frozen || h.hung:
		return nil, agent.Conflict("%s of %s: its machine is frozen; thaw it first", what, h.c.Member)
	}
	return h.guest, nil
}

func (h *host) Logs(ctx context.Context, w io.Writer, follow bool) error {
	return agent.Follow(ctx, h.c.LogFile, w, follow)
}

// TrimLog empties the log here; the guest's own goes with its memory.
func (h *host) TrimLog(context.Context) error { return agent.Trim(h.c.LogFile) }

func (h *host) Exec(ctx context.Context, argv []string, in io.Reader, out, errout io.Writer) (int, error) {
	guest, err := h.inside("exec")
	if err != nil {
		return 0, err
	}
	return guest.Exec(ctx, argv, in, out, errout)
}

func (h *host) Console(ctx context.Context, in io.Reader, out io.Writer, follow bool) error {
	return h.console.attach(ctx, in, out, follow)
}

// Type sends keys to the console.
func (h *host) Type(keys []byte) error {
	if _, err := h.console.send(keys); err != nil {
		return agent.Conflict("%v", err)
	}
	return nil
}

// Archive is the guest's: only there is the file system mounted.
func (h *host) Archive(ctx context.Context, w io.Writer) (string, error) {
	guest, err := h.inside("archive the data")
	if err != nil {
		return "", err
	}
	return guest.Archive(ctx, w)
}

// Shutdown ends the machine and takes everything off. Unless the data is to be
// discarded, the guest unmounts first.
func (h *host) Shutdown(ctx context.Context, discard bool) error {
	if discard && h.engine != nil {
		h.engine.Cut()
	}
	if guest, err := h.inside("shut down"); err == nil && !discard {
		ask, cancel := context.WithTimeout(ctx, 15*time.Second)
		if err := guest.Shutdown(ask, false); err != nil {
			h.log.Warn("the guest did not shut down", "error", err)
		}
		cancel()
	}
	return h.close(ctx)
}

// close takes everything off, the machine first.
func (h *host) close(ctx context.Context) error {
	h.end()
	if h.placer != nil {
		h.placer.Stop(ctx)
	}
	var errs []error
	if h.engine != nil {
		h.engine.Release()
	}
	if m, guest := h.current(); m != nil {
		errs = append(errs, h.killMachine(ctx))
		guest.Close()
	}
	h.following.Wait()
	if h.freezer != nil {
		errs = append(errs, h.freezer.remove(ctx))
	}
	errs = append(errs, h.gate.close())
	if h.port != nil {
		errs = append(errs, h.port.close())
	}
	if h.device != nil {
		errs = append(errs, h.device.Detach(ctx))
	}
	if h.engine != nil {
		errs = append(errs, h.engine.Close())
	}
	if h.console != nil {
		errs = append(errs, h.console.close())
	}
	return errors.Join(errs...)
}

// killMachine ends QEMU if it runs, frozen or not.
func (h *host) killMachine(ctx context.Context) error {
	m, _ := h.current()
	if !m.alive() {
		return nil
	}
	h.gate.set(false) // it sends no FIN
	m.request()
	if err := m.signalKill(); err != nil {
		return err
	}
	// Under the v1 freezer a frozen process dies only once it is thawed.
	if err := h.freezer.thaw(ctx, m.pid); err != nil {
		return err
	}
	select {
	case <-m.done:
	case <-ctx.Done():
		return fmt.Errorf("kill QEMU (process %d): %w", m.pid, ctx.Err())
	}
	h.mu.Lock()
	h.frozen, h.hung = false, false
	h.mu.Unlock()
	return nil
}
