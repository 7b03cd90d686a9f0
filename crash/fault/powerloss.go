package fault

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/lab"
)

const (
	// holdFor bounds the wait for a flush in flight; under load one comes
	// within a few milliseconds, an idle member never has one.
	holdFor = 100 * time.Millisecond
	// freezeFor bounds the wait for etcd to be seen frozen, frozenAfterCut
	// that after the cut.
	freezeFor      = 10 * time.Second
	frozenAfterCut = 500 * time.Millisecond
)

// PowerLoss cuts the power of its targets at one instant. A machine without
// power is silent: it acknowledges nothing, sends no FIN or RST, and keeps
// nothing that no flush covered.
//
// The instant should find writes in flight, or nothing can be lost: a frozen
// etcd has finished its fdatasync. So every target's disk first stops
// completing flushes (Hold), and only then is etcd frozen. What waits for a
// held flush cannot be acknowledged, so this takes nothing back; a task that
// waits there is blocked in the kernel and is seen frozen after the cut, which
// releases it, and before it is killed.
type PowerLoss struct {
	Policy Policy // of each disk; "" is Mixed
	// Moment, if it has one, is when it begins, on the target that it comes to
	// first, if it does Within; Point, of lab.AtExit, is where etcd is to panic.
	Moment lab.Moment
	Point  string
	Within time.Duration
	Again  int // losses while the targets recover

	orElse bool            // begins at once where the moment does not come
	none   bool            // it did not come
	dead   map[string]bool // etcd had ended before
	mu     sync.Mutex
	cuts   map[string]cutAt
}

type cutAt struct {
	disk.CutRecord
	time int64
}

var powerKinds = []Kind{
	{
		Name: NamePowerLoss, Group: GroupPower,
		Doc:    "the targets lose power at one instant: silent at once, and their disks keep nothing that no flush covered but what the policy says",
		Params: powerParams(), New: newPowerLoss,
	},
	{
		Name: NameHostCrash, Group: GroupPower,
		Doc: "the targets' machines panic, are reset or hang: the page cache is lost, the disks' caches are not",
		Params: []Param{
			{Name: "how", Doc: "how a machine ends; by default each way in turn", Type: word(hostCrashes()...)},
		},
		New: func(a Args) (Fault, error) { return &HostCrash{How: lab.HostCrash(a.Text("how"))}, nil },
	},
}

// Names of faults that others must know.
const (
	NamePowerLoss = "power-loss"
	NameHostCrash = "host-crash"
	NameFailpoint = "failpoint"
	NameIOError   = "io-error"
)

func (p *PowerLoss) Needs(m lab.Member) error {
	if p.Moment.At != "" {
		if err := needs[lab.EventHolder](m); err != nil {
			return err
		}
	}
	return all(m, needs[lab.PowerCutter], needs[lab.Pauser], needs[lab.Linker], needs[lab.Runner])
}

func (p *PowerLoss) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	p.cuts = map[string]cutAt{}
	came, err := p.holdAll(ctx, s, targets)
	if err == nil && !came {
		if p.none = !p.orElse; p.none {
			return p.missed(s), nil
		}
		err = each(targets, func(m lab.Member) error { return p.hold(ctx, s, m) })
	}
	if err != nil {
		return Effect{}, err
	}
	// Each step is finished on all targets before the next begins on any.
	for _, step := range []func(context.Context, *Scene, lab.Member) error{
		p.freeze, p.linkDown, p.cut, p.seeFrozen, p.kill,
	} {
		if err := each(targets, func(m lab.Member) error { return step(ctx, s, m) }); err != nil {
			return Effect{}, err
		}
	}
	uncovered := 0
	for _, c := range p.cuts {
		uncovered += c.Uncovered
	}
	message := fmt.Sprintf("%d disks cut with %d un-flushed writes", len(p.cuts), uncovered)
	if p.Moment.At != "" && came {
		message += ", at " + p.moment()
	}
	return Effect{Observed: true, Message: message}, nil
}

func (p *PowerLoss) hold(ctx context.Context, s *Scene, m lab.Member) error {
	c, err := lab.Can[lab.PowerCutter](m)
	if err != nil {
		return err
	}
	begun := clock.Now()
	h, err := c.Hold(ctx, s.slow(holdFor))
	if err != nil {
		return err
	}
	message := fmt.Sprintf("%d flushes in flight held back, %d writes uncovered", h.Flushes, h.Uncovered)
	if h.Untold {
		message = "everything held back; its disk does not tell how much"
	}
	s.timed(history.EventHeld, m.Name(), message, begun)
	return nil
}

// freeze fails on tasks that are still free to run: the cut tells them that the
// flush they wait for succeeded, and what they then send to clients waits in
// the kernel for the link to come up again, whether they are killed or not.
func (p *PowerLoss) freeze(ctx context.Context, s *Scene, m lab.Member) error {
	if ended, err := gone(ctx, m); ended || err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.dead == nil {
			p.dead = map[string]bool{}
		}
		p.dead[m.Name()] = ended
		return err
	}
	f, err := freeze(ctx, s, m, s.slow(freezeFor))
	if err == nil && !f.Observed && f.Running > 0 {
		err = fmt.Errorf("freeze etcd of %s: %d tasks still ran after %v: the machine is overloaded, or its freezer (%s) does not work", m.Name(), f.Running, s.slow(freezeFor), f.Freezer)
	}
	return err
}

// freeze asks for the freeze and notes what was seen. That a task is blocked in
// I/O on the held disk is no error yet; see seeFrozen.
func freeze(ctx context.Context, s *Scene, m lab.Member, deadline time.Duration) (lab.Frozen, error) {
	c, err := lab.Can[lab.Pauser](m)
	if err != nil {
		return lab.Frozen{}, err
	}
	begun := clock.Now()
	f, err := c.Freeze(ctx, deadline)
	if err != nil {
		return f, err
	}
	message := "every task seen frozen (freezer " + f.Freezer + ")"
	switch {
	case !f.Observed && f.Running > 0:
		message = fmt.Sprintf("%d tasks blocked in I/O, %d still free to run (freezer %s)", f.Blocked, f.Running, f.Freezer)
	case !f.Observed:
		message = fmt.Sprintf("%d tasks blocked in I/O, the others frozen (freezer %s)", f.Blocked, f.Freezer)
	}
	s.timed(history.EventFrozen, m.Name(), message, begun)
	return f, nil
}

func (p *PowerLoss) linkDown(ctx context.Context, s *Scene, m lab.Member) error {
	return setLink(ctx, s, m, false)
}

func setLink(ctx context.Context, s *Scene, m lab.Member, up bool) error {
	c, err := lab.Can[lab.Linker](m)
	if err != nil {
		return err
	}
	begun := clock.Now()
	if err := c.SetLink(ctx, up); err != nil {
		return err
	}
	kind := history.EventLinkDown
	if up {
		kind = history.EventLinkUp
	}
	s.timed(kind, m.Name(), "", begun)
	return nil
}

func (p *PowerLoss) cut(ctx context.Context, s *Scene, m lab.Member) error {
	c, err := lab.Can[lab.PowerCutter](m)
	if err != nil {
		return err
	}
	begun := clock.Now()
	r, err := c.Cut(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	if p.cuts == nil { // of a heal in another process than Apply's
		p.cuts = map[string]cutAt{}
	}
	p.cuts[m.Name()] = cutAt{r, begun}
	p.mu.Unlock()
	return nil
}

// seeFrozen looks again now that the cut has released what waited for a held
// flush. A task may still be blocked elsewhere in the kernel; the record says
// so. It takes nothing from the power loss: the link is down and the disk cut,
// so there is nobody it could tell and nothing it could keep, and SIGKILL ends
// it before it is back in etcd's code.
func (p *PowerLoss) seeFrozen(ctx context.Context, s *Scene, m lab.Member) error {
	p.mu.Lock()
	dead := p.dead[m.Name()]
	p.mu.Unlock()
	if dead {
		return nil
	}
	_, err := freeze(ctx, s, m, s.slow(frozenAfterCut))
	return err
}

func (p *PowerLoss) kill(ctx context.Context, s *Scene, m lab.Member) error {
	return kill(ctx, s, m)
}

func kill(ctx context.Context, s *Scene, m lab.Member) error {
	r, err := lab.Can[lab.Runner](m)
	if err != nil {
		return err
	}
	begun := clock.Now()
	if err := r.Kill(ctx); err != nil {
		return err
	}
	s.timed(history.EventKilled, m.Name(), "", begun)
	return nil
}
