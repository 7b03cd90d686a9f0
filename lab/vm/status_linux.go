package vm

import (
	"context"
	"os"
	"time"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
)

const (
	// askGuest bounds the question to the guest; the controller waits no more
	// than agent.InfoTimeout for all of it.
	askGuest = 3 * time.Second
	// stillTrue is how long the last answer counts of a guest that is slow to
	// answer, as one whose processor is emulated may be.
	stillTrue = 4 * time.Second
)

// Status is what is known of the machine and, if it runs, of its etcd.
func (h *host) Status(ctx context.Context) (agent.Status, error) {
	s := agent.Status{
		Lab: h.c.Lab, Member: h.c.Member, Agent: os.Getpid(), State: lab.StateOff, Freezer: h.freezer.name(),
	}
	if h.engine != nil {
		s.Broken = h.engine.Broken()
	}
	h.mu.Lock()
	s.LinkUp, s.DiskFail = h.linkUp, h.diskFail
	m, guest, cut, frozen := h.machine, h.guest, h.cut, h.frozen || h.hung
	last, lastAt := h.last, h.lastAt
	h.mu.Unlock()
	switch {
	case !m.alive():
		s.Exit = h.ended(m)
		return s, nil
	case cut:
		return s, nil
	case frozen:
		inGuest(&s, last, m)
		s.State = lab.StateFrozen
		return s, nil
	}
	ask, cancel := context.WithTimeout(ctx, askGuest)
	defer cancel()
	g, err := guest.Status(ask)
	switch {
	case err == nil:
		h.mu.Lock()
		h.last, h.lastAt, h.diskFail = g, time.Now(), g.DiskFail
		h.mu.Unlock()
	case !m.alive():
		s.Exit = h.ended(m)
		return s, nil
	case time.Since(lastAt) < time.Duration(float64(stillTrue)*h.c.Slow):
		g = last
	default:
		// It runs and does not answer: it hangs.
		s.State = lab.StateLost
		return s, nil
	}
	inGuest(&s, g, m)
	return s, nil
}

// inGuest puts in what the agent in the guest knows. Its clock began with the
// machine.
func inGuest(s *agent.Status, g agent.Status, m *machine) {
	s.State, s.PID, s.DiskFail = g.State, g.PID, g.DiskFail
	s.Command, s.Version, s.Settings, s.Stale, s.Wiped, s.Limited = g.Command, g.Version, g.Settings, g.Stale, g.Wiped, g.Limited
	if g.Started != 0 {
		s.Started = m.started + g.Started
	}
	if g.Exit != nil {
		e := *g.Exit
		e.At += m.started
		s.Exit = &e
	}
	if s.Broken == "" {
		s.Broken = g.Broken
	}
}

// ended is how a machine ended, as the end of the etcd in it.
func (h *host) ended(m *machine) *agent.Exit {
	if m == nil {
		return nil
	}
	status := m.reason(h.console.thisBoot())
	m.mu.Lock()
	defer m.mu.Unlock()
	return &agent.Exit{At: m.ended, Status: status, Requested: m.requested}
}
