package fault

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

// DiskFault makes the targets' disks slow, stuck or dishonest until healed.
type DiskFault struct {
	Disk   disk.Fault
	Within time.Duration // for an operation to be hit
	// Reboot, if not "", is what the disk's cache keeps at the reboot that heals: a
	// disk that lied is not what the file system thinks it is.
	Reboot disk.Policy
	Force  bool // also where the targets are no minority
}

func (f *DiskFault) Needs(m lab.Member) error {
	if f.Disk.File != "" {
		if err := needs[lab.FileFaulter](m); err != nil {
			return err
		}
	}
	if f.Reboot == "" {
		return all(m, needs[lab.DiskFaulter], needs[lab.Runner])
	}
	return all(m, needs[lab.DiskFaulter], needs[lab.PowerCutter], needs[lab.Runner])
}

func (f *DiskFault) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	if f.Disk.Action.Lies() {
		if err := minority(s, targets, f.Force); err != nil {
			return Effect{}, err
		}
	}
	armed := f.Disk
	armed.Seed = s.Seed
	var mu sync.Mutex
	var seen, unseen []string
	err := each(targets, func(m lab.Member) error {
		d, err := lab.Can[lab.DiskFaulter](m)
		if err != nil {
			return err
		}
		// What is armed counts as done to it, whether this process sees it or not.
		if armed.Action.Lies() {
			s.damaged(m, history.Damage{Kind: string(armed.Action), What: "armed: " + what(armed)})
		}
		if err := d.SetDiskFaults(ctx, []disk.Fault{armed}); err != nil {
			return err
		}
		s.event(history.EventFault, m.Name(), fmt.Sprintf("armed: %s: %s", armed.Action, what(armed)))
		var state disk.FaultState
		hit, err := until(ctx, s.slow(f.Within), func(ctx context.Context) (bool, error) {
			states, err := d.DiskFaults(ctx)
			if err != nil || len(states) == 0 {
				return false, err
			}
			state = states[0]
			if f.Disk.Action != disk.ActHang {
				return state.Hit > 0, nil
			}
			stats, err := d.DiskStats(ctx)
			return stats.Stuck > 0, err
		})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if !hit {
			unseen = append(unseen, m.Name())
			return nil
		}
		seen = append(seen, m.Name()+": "+state.Last)
		s.event(history.EventFault, m.Name(), state.Last)
		if armed.Action.Lies() {
			s.damaged(m, history.Damage{Kind: string(armed.Action), Count: state.Hit, What: state.Last})
		}
		return nil
	})
	if len(unseen) > 0 {
		return Effect{Message: fmt.Sprintf("no %s of %s came within %v", what(armed), strings.Join(unseen, ", "), s.slow(f.Within))}, err
	}
	return Effect{Observed: err == nil, Message: strings.Join(seen, "; ")}, err
}

// Heal disarms. A member whose disk lied is booted again, as its file system has
// in memory what the disk does not; one that then refuses what it finds gets a
// fresh disk. One that serves with it keeps it: what it serves is to be seen.
func (f *DiskFault) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	return each(targets, func(m lab.Member) error {
		if f.Reboot != "" {
			info, err := m.Info(ctx)
			if err != nil {
				return err
			}
			if info.Wiped { // another process was about to replace it
				return s.replace(ctx, m, targets)
			}
			if err := s.reboot(ctx, m, f.Reboot); err != nil {
				return err
			}
			return s.replaceIfRefused(ctx, m, targets)
		}
		d, err := lab.Can[lab.DiskFaulter](m)
		if err != nil {
			return err
		}
		if err := d.SetDiskFaults(ctx, nil); err != nil {
			return err
		}
		free, err := until(ctx, s.slow(hitFor), func(ctx context.Context) (bool, error) {
			stats, err := d.DiskStats(ctx)
			return stats.Stuck == 0, err
		})
		if err == nil && !free {
			err = fmt.Errorf("the disk of %s was healed, and operations are still stuck", m.Name())
		}
		if err != nil {
			return err
		}
		s.event(history.EventHealed, m.Name(), "disk faults disarmed, nothing is stuck")
		return s.start(ctx, m)
	})
}

// minority fails on targets of which so many are dishonest at once that etcd owes
// nothing.
func minority(s *Scene, targets []lab.Member, force bool) error {
	if force || len(targets) <= (len(s.Members)-1)/2 {
		return nil
	}
	return fmt.Errorf("%d of %d members are no minority: if so many disks lose data that they acknowledged, etcd may; say force: yes to see what it makes of that", len(targets), len(s.Members))
}

func (s *Scene) damaged(m lab.Member, d history.Damage) {
	s.Record(history.Event{Time: now(), Kind: history.EventDamaged, Round: s.Round, Member: m.Name(), Message: d.What, Damage: &d})
}

// refuseWithin is how long an etcd has to refuse what a disk that lied has left.
const refuseWithin = 10 * time.Second

// replaceIfRefused gives a member whose etcd, or whose file system, finds its disk
// wrong a fresh data directory, if others are left to join.
func (s *Scene) replaceIfRefused(ctx context.Context, m lab.Member, targets []lab.Member) error {
	info, err := m.Info(ctx)
	if err != nil || info.Unmountable != "" || s.other(targets) == "" || s.Cluster == nil {
		return err
	}
	how, err := s.verdictOf(ctx, m, s.slow(refuseWithin))
	if err != nil {
		return err
	}
	s.event(history.EventFault, m.Name(), how)
	if info, err = m.Info(ctx); err != nil || info.State != lab.StateStopped {
		return err
	}
	return s.replace(ctx, m, targets)
}
