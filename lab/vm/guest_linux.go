package vm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/internal/tail"
	"github.com/etcdlab/etcdlab/lab/agent"
)

// bootTime bounds a boot at full speed, up to the agent's answer.
const bootTime = 40 * time.Second

// bootError is a guest that does not boot.
type bootError struct {
	member  string
	reason  string
	console string
}

func (e *bootError) Error() string {
	return fmt.Sprintf("boot the machine of %s: %s; its serial console ends:\n%s", e.member, e.reason, e.console)
}

// boot starts the machine and waits until the agent in it answers. What it
// started it ends again when that fails.
func (h *host) boot(ctx context.Context) error {
	m, err := h.startMachine(ctx)
	if err != nil {
		return err
	}
	guest := agent.NewClient(h.c.Member, agent.At{
		Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(m.ports[h.c.Agent])), TLS: h.c.TLS,
	}, nil)
	h.mu.Lock()
	h.machine, h.guest, h.frozen = m, guest, false
	h.mu.Unlock()
	limit := time.Duration(float64(bootTime) * h.c.Slow)
	wait, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	st, err := h.awaitGuest(wait, m, guest)
	if err == nil {
		err = h.remind(wait, guest)
	}
	if err != nil {
		reason := err.Error()
		switch {
		case wait.Err() != nil && ctx.Err() == nil:
			reason = fmt.Sprintf("its agent does not answer after %v: %v", limit, err)
		case !m.alive():
			reason = m.reason(h.console.thisBoot())
		case ctx.Err() != nil:
			reason = ctx.Err().Error()
		}
		m.kill()
		guest.Close()
		return &bootError{h.c.Member, reason, tail.Lines(h.console.thisBoot(), 15)}
	}
	h.mu.Lock()
	h.last, h.lastAt, h.diskFail = st, time.Now(), st.DiskFail
	h.mu.Unlock()
	h.setGate()
	h.following.Go(func() { h.followLog(m, guest) })
	go h.watch(m)
	return nil
}

// agentSays is what init prints when the agent in the guest answers.
const agentSays = initSays + " agent ready"

// awaitGuest asks the agent in the guest until it answers. It does so only once
// init has said that it is there, or does not say so for long: a connection that
// is made too early hangs in QEMU's network, and each handshake that is given up
// costs an emulated processor a tenth of a second.
func (h *host) awaitGuest(ctx context.Context, m *machine, guest *agent.Client) (agent.Status, error) {
	ended, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-m.done:
			cancel(errors.New("the machine has ended"))
		case <-ended.Done():
		}
	}()
	patience := bootTime / 2
	for {
		said, give := context.WithTimeout(ended, time.Duration(float64(patience)*h.c.Slow))
		h.console.await(said, agentSays)
		give()
		ask, give := context.WithTimeout(ended, time.Duration(float64(time.Second)*h.c.Slow))
		st, err := guest.Status(ask)
		give()
		if err == nil {
			return st, fastClock(h.console.thisBoot(), time.Duration(clock.Now()-m.started))
		}
		if ended.Err() != nil {
			return st, errors.Join(context.Cause(ended), err)
		}
		guest.Close()
		patience = time.Second
		select {
		case <-ended.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// readyAfter is how long the kernel ran by its own clock until init said so.
var readyAfter = regexp.MustCompile(regexp.QuoteMeta(agentSays) + ` after ([0-9.µa-z]+)`)

// fastClock is the error of a guest whose clock ran for longer than its machine:
// its kernel took the wrong speed for its counter, and all its timers end early.
func fastClock(printed string, ran time.Duration) error {
	found := readyAfter.FindStringSubmatch(printed)
	if found == nil {
		return nil
	}
	if d, err := time.ParseDuration(found[1]); err == nil && d > ran+ran/10 {
		return fmt.Errorf("its clock is wrong: %v since its kernel started, of a machine that has run for %v; try again", d, ran.Round(time.Millisecond))
	}
	return nil
}

// watch shuts the gate when a machine ends by itself: it sends no FIN then.
func (h *host) watch(m *machine) {
	<-m.done
	h.mu.Lock()
	current := h.machine == m
	h.mu.Unlock()
	if !current {
		return
	}
	h.gate.set(false)
	m.mu.Lock()
	requested := m.requested
	m.mu.Unlock()
	if !requested {
		h.log.Error("the machine ended", "reason", m.reason(h.console.thisBoot()))
	}
}

// followLog brings etcd's log out of the guest, whose own is gone with its
// memory.
func (h *host) followLog(m *machine, guest *agent.Client) {
	out, err := os.OpenFile(h.c.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		h.log.Error("etcd's log cannot be kept", "error", err)
		return
	}
	defer out.Close()
	ctx, cancel := context.WithCancel(h.life)
	defer cancel()
	defer context.AfterFunc(ctx, guest.Close)()
	go func() {
		select {
		case <-m.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	var written int64
	for ctx.Err() == nil {
		// Each time from its beginning: what was written is skipped.
		w := &skipper{out: out, skip: written}
		err := guest.Logs(ctx, w, true)
		written += w.wrote
		if ctx.Err() == nil {
			h.log.Warn("etcd's log is read again", "error", err)
			select {
			case <-time.After(200 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

// skipper drops the first bytes of what is written.
type skipper struct {
	out   *os.File
	skip  int64
	wrote int64
}

func (s *skipper) Write(p []byte) (int, error) {
	n := min(s.skip, int64(len(p)))
	s.skip -= n
	k, err := s.out.Write(p[n:])
	s.wrote += int64(k)
	return int(n) + k, err
}
