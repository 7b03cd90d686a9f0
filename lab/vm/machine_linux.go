package vm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/internal/tail"
	"github.com/etcdlab/etcdlab/lab/vm/qmp"
)

// monitorTimeout bounds what QEMU's monitor takes, from its start on: QEMU
// answers before the guest's first instruction.
const monitorTimeout = 20 * time.Second

// machine is one run of QEMU: one boot.
type machine struct {
	pid     int
	started int64 // CLOCK_MONOTONIC, nanoseconds
	qmp     *qmp.Client
	ports   map[int]int // of the host, by the guest's
	printed <-chan struct{}
	done    chan struct{} // closed when it is reaped and its console is read

	mu        sync.Mutex
	requested bool   // its end
	why       string // QEMU's own reason for its end
	panicked  bool
	status    string // of the process, valid once done
	ended     int64
}

// startMachine starts QEMU with its disk, its console and its card plugged in.
// It returns when the monitor answers.
func (h *host) startMachine(ctx context.Context) (m *machine, err error) {
	c := h.c
	args, err := c.command(h.socket(), filepath.Join(c.StateDir, imageFile))
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(c.StateDir, qemuLog), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start QEMU: %w", err)
	}
	defer log.Close()
	from, err := log.Seek(0, 2)
	if err != nil {
		return nil, fmt.Errorf("start QEMU: %w", err)
	}
	cmd := exec.Command(c.QEMU, append(args, c.extra...)...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	// It must not outlive the agent, which has its disk.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	var ours []net.Conn
	for _, want := range []struct {
		kind int
		name string
	}{{unix.SOCK_STREAM, "monitor"}, {unix.SOCK_STREAM, "console"}, {unix.SOCK_DGRAM, "card"}} {
		conn, theirs, err := pair(want.kind, want.name)
		if err != nil {
			for _, f := range cmd.ExtraFiles {
				f.Close()
			}
			return nil, errors.Join(err, closeAll(ours))
		}
		ours = append(ours, conn)
		cmd.ExtraFiles = append(cmd.ExtraFiles, theirs)
	}
	m = &machine{done: make(chan struct{}), printed: h.console.plug(ours[1], c.Member)}
	err = m.run(cmd)
	for _, theirs := range cmd.ExtraFiles {
		theirs.Close() // or QEMU's end would not be seen
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start QEMU: %w", err), closeAll(ours))
	}
	h.freezer.hold(m.pid)
	// A process that is being started by a protected one would be so, too.
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", m.pid), []byte("0"), 0)
	h.port.plug(ours[2])
	ask, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	m.qmp, err = qmp.New(ask, ours[0], m.event)
	if err == nil {
		m.ports, err = hostPorts(ask, m.qmp)
	} else {
		ours[0].Close()
	}
	if err == nil && m.ports[c.Agent] == 0 {
		err = errors.New("QEMU forwards no port to the agent")
	}
	if err != nil {
		m.kill()
		said, _ := os.ReadFile(log.Name())
		if text := strings.TrimSpace(string(said[min(from, int64(len(said))):])); text != "" {
			return nil, fmt.Errorf("start QEMU: %w; it says:\n%s", err, tail.Lines(text, 8))
		}
		return nil, fmt.Errorf("start QEMU: %w", err)
	}
	return m, nil
}

func closeAll(conns []net.Conn) error {
	var errs []error
	for _, c := range conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// run starts the process and waits for its end. The thread that starts it must
// live as long: its end is what the kernel sends the death signal for (prctl(2),
// PR_SET_PDEATHSIG).
func (m *machine) run(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		m.pid, m.started = cmd.Process.Pid, clock.Now()
		started <- nil
		err := cmd.Wait()
		<-m.printed // what it printed last says why
		m.mu.Lock()
		m.ended, m.status = clock.Now(), "exit status 0"
		if err != nil {
			m.status = err.Error()
		}
		m.mu.Unlock()
		close(m.done)
	}()
	return <-started
}

// event notes why a machine ends.
func (m *machine) event(e qmp.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch e.Name {
	case "GUEST_PANICKED":
		m.panicked = true
	case "SHUTDOWN", "RESET":
		m.why = e.Field("reason")
	}
}

func (m *machine) alive() bool {
	if m == nil {
		return false
	}
	select {
	case <-m.done:
		return false
	default:
		return true
	}
}

// request says that the end of the machine is wanted.
func (m *machine) request() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requested = true
}

// kill ends QEMU and waits until it is reaped. A frozen one has to be thawed
// afterwards, by who froze it.
func (m *machine) kill() {
	m.request()
	_ = unix.Kill(m.pid, unix.SIGKILL)
	<-m.done
}

// reason is how a machine ended that has, in words.
func (m *machine) reason(printed string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := lastPanic(printed)
	switch {
	case text != "":
		return "the guest's kernel ended: " + text
	case m.panicked:
		return "the guest's kernel panicked"
	case m.why != "":
		return "the machine ended: " + m.why
	}
	return m.status
}

// signalKill sends the signal; the end comes in its own time.
func (m *machine) signalKill() error {
	if err := unix.Kill(m.pid, unix.SIGKILL); err != nil && err != unix.ESRCH {
		return fmt.Errorf("kill QEMU (process %d): %w", m.pid, err)
	}
	return nil
}
