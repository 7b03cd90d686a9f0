package fault

import (
	"cmp"
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

// member notes what is asked of it, and behaves like one in as far as the order
// of what is asked matters: a task that waits for a held flush cannot be killed.
type member struct {
	name string
	fail string // a failpoint's URL
	exit string // how it ended, if not as one that panicked
	// profile is the disk's.
	profile string

	mu      sync.Mutex
	calls   []string
	state   lab.State
	holding bool
	frozen  lab.Frozen
	net     netFake
}

func newMember(name string) *member {
	return &member{name: name, state: lab.StateRunning, frozen: lab.Frozen{Observed: true, Freezer: "v2"}}
}

func (m *member) note(call string, do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, call)
	if do != nil {
		do()
	}
}

func (m *member) set(s lab.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = s
}

func (m *member) Name() string { return m.name }

func (m *member) Info(context.Context) (lab.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return lab.Info{Name: m.name, PeerURL: m.net.peerURL(m.name), State: m.state, FailpointURL: m.fail, Exit: cmp.Or(m.exit, "exit status 2")}, nil
}

func (m *member) Start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.note("start", func() { m.state = lab.StateRunning })
	return nil
}

func (m *member) Stop(context.Context) error { return nil }

func (m *member) Kill(context.Context) (err error) {
	m.note("kill", func() {
		if m.holding {
			err = context.DeadlineExceeded
		}
		m.state = lab.StateStopped
	})
	return err
}

func (m *member) Freeze(context.Context, time.Duration) (lab.Frozen, error) {
	m.note("freeze", nil)
	return m.frozen, nil
}

func (m *member) Thaw(context.Context) error { return nil }

func (m *member) SetLink(_ context.Context, up bool) error {
	m.note(map[bool]string{true: "link up", false: "link down"}[up], nil)
	return nil
}

func (m *member) Hold(context.Context, time.Duration) (lab.Held, error) {
	m.note("hold", func() { m.holding = true })
	return lab.Held{Flushes: 1, Uncovered: 2}, nil
}

func (m *member) Release(context.Context) error {
	m.note("release", func() { m.holding = false })
	return nil
}

func (m *member) Cut(context.Context) (disk.CutRecord, error) {
	m.note("cut", func() { m.holding = false })
	return disk.CutRecord{Uncovered: 2}, nil
}

func (m *member) Restore(_ context.Context, p disk.Policy, seed uint64) (lab.Restored, error) {
	call := "restore"
	if p == disk.Drop && m.profile == "dm" {
		call = "restore drop"
	}
	m.note(call, nil)
	return lab.Restored{Choice: disk.Choice{Policy: p, Seed: seed, Uncovered: 2, Dropped: 2}}, nil
}

func (m *member) CrashHost(_ context.Context, how lab.HostCrash) error {
	m.note("crash "+string(how), func() { m.state = lab.StateOff })
	return nil
}

func (m *member) Boot(context.Context) error {
	m.note("boot", func() { m.state = lab.StateStopped })
	return nil
}

func (m *member) SetDiskFaults(_ context.Context, faults []disk.Fault) error {
	if len(faults) == 0 {
		m.note("disarm", nil)
		return nil
	}
	m.note("arm "+string(faults[0].Op), func() { m.state = lab.StateStopped })
	return nil
}

func (m *member) DiskFaults(context.Context) ([]disk.FaultState, error) {
	return []disk.FaultState{{Matched: 1, Hit: 1}}, nil
}

func (m *member) SetDiskProfile(context.Context, string) error { return nil }

func (m *member) DiskStats(context.Context) (disk.Stats, error) {
	return disk.Stats{Profile: m.profile}, nil
}

func (m *member) CutLog(context.Context, io.Writer) error { return nil }

func (m *member) wants(t *testing.T, want ...string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Equal(m.calls, want) {
		t.Errorf("%s was asked for\n%v, want\n%v", m.name, m.calls, want)
	}
}

// recorder keeps the events of a scene.
type recorder struct {
	mu     sync.Mutex
	events []history.Event
}

func (r *recorder) record(e history.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) has(kind history.EventKind, member string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.events, func(e history.Event) bool { return e.Kind == kind && e.Member == member })
}
