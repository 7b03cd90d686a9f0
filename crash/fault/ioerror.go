package fault

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/lab"
)

// IOError makes one operation of a target's disk fail with EIO; by default the
// next flush. etcd must not go on as if the data were safe.
type IOError struct {
	// Disk is what is armed; zero is one failed flush.
	Disk disk.Fault
	// Policy is what the disk's cache keeps at the reboot that heals; "" is all,
	// as the disk never lost power. Device mapper can only drop.
	Policy disk.Policy
}

func (f *IOError) Needs(m lab.Member) error {
	if f.Disk.File != "" {
		if err := needs[lab.FileFaulter](m); err != nil {
			return err
		}
	}
	return all(m, needs[lab.DiskFaulter], needs[lab.PowerCutter], needs[lab.Runner])
}

// hitFor bounds the wait for the fault to be hit, endFor the wait for etcd to
// end after it was; etcd may as well live on, if the failed flush was not its own.
const (
	hitFor = 10 * time.Second
	endFor = 3 * time.Second
)

func (f *IOError) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	armed := f.Disk
	if armed == (disk.Fault{}) {
		armed = disk.Fault{Op: disk.OpFlush, Count: 1}
	}
	var mu sync.Mutex
	effect := Effect{Observed: true}
	err := each(targets, func(m lab.Member) error {
		d, err := lab.Can[lab.DiskFaulter](m)
		if err != nil {
			return err
		}
		if err := d.SetDiskFaults(ctx, []disk.Fault{armed}); err != nil {
			return err
		}
		s.event(history.EventFault, m.Name(), fmt.Sprintf("armed: %s fails with EIO", what(armed)))
		hit, err := until(ctx, s.slow(hitFor), func(ctx context.Context) (bool, error) {
			states, err := d.DiskFaults(ctx)
			return len(states) > 0 && states[0].Hit > 0, err
		})
		if err != nil {
			return err
		}
		if !hit {
			mu.Lock()
			defer mu.Unlock()
			effect.Observed, effect.Message = false, fmt.Sprintf("no %s of %s failed within %v", what(armed), m.Name(), s.slow(hitFor))
			return nil
		}
		how, ended, err := exited(ctx, m, s.slow(endFor))
		if err != nil {
			return err
		}
		message := fmt.Sprintf("a %s failed with EIO; etcd went on", what(armed))
		if ended {
			message = fmt.Sprintf("a %s failed with EIO; etcd ended: %s", what(armed), how)
			s.event(history.EventExited, m.Name(), how)
		}
		s.event(history.EventFault, m.Name(), message)
		mu.Lock()
		defer mu.Unlock()
		if effect.Observed {
			effect.Message = strings.TrimPrefix(effect.Message+"; "+m.Name()+": "+message, "; ")
		}
		return nil
	})
	return effect, err
}

// what is the operation that a fault is about, in words.
func what(f disk.Fault) string {
	if f.File == "" {
		return string(f.Op)
	}
	return string(f.Op) + " of the file " + f.File
}

// Heal disarms, and gives the member a machine's reboot: a file system that saw
// an error may be read-only until it is mounted again. What the device's cache
// holds is kept, unless Policy says otherwise: the disk never lost power.
func (f *IOError) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	return each(targets, func(m lab.Member) error { return s.reboot(ctx, m, cmp.Or(f.Policy, disk.Keep)) })
}

// reboot heals a member's disk, has it keep what the policy says, mounts it again
// and starts etcd.
func (s *Scene) reboot(ctx context.Context, m lab.Member, policy disk.Policy) error {
	d, err := lab.Can[lab.DiskFaulter](m)
	if err != nil {
		return err
	}
	if err := d.SetDiskFaults(ctx, nil); err != nil {
		return err
	}
	s.event(history.EventHealed, m.Name(), "disk faults disarmed")
	if err := kill(ctx, s, m); err != nil {
		return err
	}
	c, err := lab.Can[lab.PowerCutter](m)
	if err != nil {
		return err
	}
	if _, err := c.Cut(ctx); err != nil {
		return err
	}
	r, err := c.Restore(ctx, policy, 0)
	if lost, dead := asUnmountable(err); dead {
		s.event(history.EventNotServing, m.Name(), lost.Error())
		return nil // for the judge to weigh
	}
	if err != nil {
		return err
	}
	s.Record(history.Event{Time: clock.Now(), Kind: history.EventMounted, Round: s.Round, Member: m.Name(), Duration: int64(r.Mount)})
	return s.start(ctx, m)
}
