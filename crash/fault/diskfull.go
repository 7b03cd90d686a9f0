package fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
)

// DiskFull leaves etcd no space on its own file system.
type DiskFull struct {
	Leave  int64         // bytes
	Within time.Duration // for etcd to need some
}

// noSpaceLeft is what the kernel says, and etcd repeats.
const noSpaceLeft = "no space left on device"

// slack is what is free although a file system has no space for etcd: what it
// keeps for itself, and what etcd itself gave back meanwhile.
const slack = 24 << 20

func (*DiskFull) Needs(m lab.Member) error { return all(m, needs[lab.Filler], needs[lab.Runner]) }

func (f *DiskFull) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	var mu sync.Mutex
	var seen, unseen []string
	err := each(targets, func(m lab.Member) error {
		c, err := lab.Can[lab.Filler](m)
		if err != nil {
			return err
		}
		before := f.said(ctx, m)
		space, err := c.Fill(ctx, f.Leave)
		if err != nil {
			return err
		}
		s.event(history.EventFault, m.Name(), fmt.Sprintf("its file system is full: %d of %d bytes are free, %d of them taken", space.Free, space.Size, space.Ballast))
		if space.Free > f.Leave+slack {
			return fmt.Errorf("fill the file system of %s: %d bytes are still free", m.Name(), space.Free)
		}
		how, ended, err := exited(ctx, m, s.slow(f.Within))
		if err != nil {
			return err
		}
		if ended {
			s.event(history.EventExited, m.Name(), how)
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case ended && strings.Contains(how, noSpaceLeft):
			seen = append(seen, m.Name()+" found no space and ended")
		case f.said(ctx, m) > before:
			seen = append(seen, m.Name()+" logged that there is no space")
		default:
			unseen = append(unseen, m.Name())
		}
		return nil
	})
	if len(unseen) > 0 {
		return Effect{Message: fmt.Sprintf("%s needed no space within %v of having none: a load that writes more makes the db grow", strings.Join(unseen, ", "), s.slow(f.Within))}, err
	}
	return Effect{Observed: err == nil, Message: strings.Join(seen, "; ")}, err
}

// said counts how often etcd's log says that there is no space.
func (*DiskFull) said(ctx context.Context, m lab.Member) int {
	l, err := lab.Can[lab.Logger](m)
	if err != nil {
		return 0
	}
	var log bytes.Buffer
	if err := l.Logs(ctx, &log, false); err != nil {
		return 0
	}
	return strings.Count(log.String(), noSpaceLeft)
}

// Heal gives the space back, sees it free, and starts etcd.
func (f *DiskFull) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	return each(targets, func(m lab.Member) error {
		c, err := lab.Can[lab.Filler](m)
		if err != nil {
			return err
		}
		space, err := c.Unfill(ctx)
		if err != nil {
			return err
		}
		if space.Ballast != 0 {
			return errors.New("the space was given back, and is still taken")
		}
		s.event(history.EventHealed, m.Name(), fmt.Sprintf("%d bytes are free again", space.Free))
		return s.start(ctx, m)
	})
}
