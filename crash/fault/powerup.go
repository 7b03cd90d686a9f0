package fault

import (
	"context"
	"errors"
	"sync"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/lab"
)

// Heal gives the power back: the crash state is chosen, the file system
// recovers at mount, the link comes up, etcd starts. A member whose file system
// does not mount stays down; that is the judge's to weigh, not an error here.
func (p *PowerLoss) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	if p.none {
		return each(targets, func(m lab.Member) error { return s.start(ctx, m) })
	}
	var mu sync.Mutex
	var whole []lab.Member
	err := each(targets, func(m lab.Member) error {
		if err := p.restore(ctx, s, m); err != nil {
			return err
		}
		if err := setLink(ctx, s, m, true); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		whole = append(whole, m)
		return nil
	})
	// No etcd starts before every link is up: a SYN to a member without a link
	// is lost, and TCP sends it again only after 1 s.
	if startErr := each(whole, func(m lab.Member) error { return s.start(ctx, m) }); startErr != nil {
		return errors.Join(err, startErr)
	}
	lost, other := unmountable(err)
	for _, u := range lost {
		s.event(history.EventNotServing, u.Member, u.Error())
	}
	if other {
		return err
	}
	if len(lost) == 0 {
		return p.again(ctx, s, targets)
	}
	return nil
}

func (p *PowerLoss) restore(ctx context.Context, s *Scene, m lab.Member) error {
	c, err := lab.Can[lab.PowerCutter](m)
	if err != nil {
		return err
	}
	p.mu.Lock()
	record, cut := p.cuts[m.Name()]
	p.mu.Unlock()
	// Where Apply went wrong half-way, what it left undone is done now. A task
	// that waits for a held flush cannot be killed; one that the cut releases
	// while etcd runs and the link is up would acknowledge what is then lost.
	if !cut {
		if err := c.Release(ctx); err != nil {
			return err
		}
	}
	if err := kill(ctx, s, m); err != nil {
		return err
	}
	if !cut {
		if err := p.cut(ctx, s, m); err != nil {
			return err
		}
		p.mu.Lock()
		record = p.cuts[m.Name()]
		p.mu.Unlock()
	}
	policy, cutSeed := p.Policy.of(s.Seed, m.Name())
	stats, profile := lab.Can[lab.DiskFaulter](m)
	begun := clock.Now()
	r, err := c.Restore(ctx, policy, cutSeed)
	u, dead := asUnmountable(err)
	if err != nil && !dead {
		return err
	}
	if dead {
		r.Choice = u.Choice
	}
	// The cut is noted with what became of it, at the time it was made.
	e := history.Event{Time: record.time, Kind: history.EventCut, Round: s.Round, Member: m.Name(), Cut: &history.Cut{
		Policy: string(policy), Seed: cutSeed, Position: record.Position,
		Flushes: record.Flushes, Writes: record.Writes, Held: record.Held,
		Uncovered: r.Choice.Uncovered, Dropped: r.Choice.Dropped, Torn: r.Choice.Torn, Kept: r.Choice.Kept, Lied: record.Lied,
	}}
	if profile == nil {
		if st, err := stats.DiskStats(ctx); err == nil {
			e.Cut.Profile = st.Profile
		}
	}
	s.Record(e)
	if dead {
		return u
	}
	s.timed(history.EventRestored, m.Name(), "", begun)
	s.Record(history.Event{Time: clock.Now(), Kind: history.EventMounted, Round: s.Round, Member: m.Name(), Duration: int64(r.Mount)})
	return nil
}

func asUnmountable(err error) (*lab.UnmountableError, bool) {
	lost, _ := unmountable(err)
	if len(lost) == 0 {
		return nil, false
	}
	return lost[0], true
}
