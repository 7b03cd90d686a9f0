package fault

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/lab"
)

// HostCrash ends the machines of its targets: a kernel panic, a reset, or a hang.
// What their page caches held is lost; what their disks' caches hold is not, so
// it is no power loss.
type HostCrash struct {
	How lab.HostCrash // "" is each way in turn
}

func (*HostCrash) Needs(m lab.Member) error {
	return all(m, needs[lab.HostCrasher], needs[lab.Runner])
}

func hostCrashes() (words []string) {
	for _, how := range lab.HostCrashes {
		words = append(words, string(how))
	}
	return words
}

// ParseHostCrash accepts the ways in which a machine ends; "" is each in turn.
func ParseHostCrash(s string) (lab.HostCrash, error) {
	if s != "" && !slices.Contains(lab.HostCrashes, lab.HostCrash(s)) {
		return "", fmt.Errorf("unknown host crash %q; a machine can %v", s, lab.HostCrashes)
	}
	return lab.HostCrash(s), nil
}

// how is the way of this round.
func (h *HostCrash) how(s *Scene) lab.HostCrash {
	if h.How != "" {
		return h.How
	}
	return lab.HostCrashes[max(s.Round-1, 0)%len(lab.HostCrashes)]
}

var hostWords = map[lab.HostCrash]string{
	lab.HostPanic: "its kernel panicked", lab.HostReset: "it was reset", lab.HostHang: "it hangs",
}

func (h *HostCrash) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	how := h.how(s)
	err := each(targets, func(m lab.Member) error {
		c, err := lab.Can[lab.HostCrasher](m)
		if err != nil {
			return err
		}
		begun := clock.Now()
		if err := c.CrashHost(ctx, how); err != nil {
			return err
		}
		s.timed(history.EventFault, m.Name(), "the machine ended: "+hostWords[how], begun)
		s.event(history.EventExited, m.Name(), "with its machine: "+hostWords[how])
		return nil
	})
	return Effect{Observed: err == nil, Message: fmt.Sprintf("%d machines ended (%s)", len(targets), how)}, err
}

// Heal boots the machines and, once all have, starts etcd. A file system that
// does not mount is the judge's to weigh.
func (*HostCrash) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	var mu sync.Mutex
	var whole []lab.Member
	err := each(targets, func(m lab.Member) error {
		c, err := lab.Can[lab.HostCrasher](m)
		if err != nil {
			return err
		}
		begun := clock.Now()
		if err := c.Boot(ctx); err != nil {
			return err
		}
		s.timed(history.EventHealed, m.Name(), "the machine booted", begun)
		mu.Lock()
		defer mu.Unlock()
		whole = append(whole, m)
		return nil
	})
	if startErr := each(whole, func(m lab.Member) error { return s.start(ctx, m) }); startErr != nil {
		return startErr
	}
	lost, other := unmountable(err)
	for _, u := range lost {
		s.event(history.EventNotServing, u.Member, u.Error())
	}
	if other {
		return err
	}
	return nil
}
