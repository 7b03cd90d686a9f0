package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
)

var clusterKinds = append(membershipKinds,
	Kind{
		Name: "move-leader", Group: GroupCluster, Members: 2, Beside: true,
		Doc: "the leader hands its office to another member, one of the targets if it can",
		New: func(Args) (Fault, error) { return &MoveLeader{}, nil },
	},
	Kind{
		Name: "defragment", Group: GroupCluster, Beside: true,
		Doc: "the targets' dbs are defragmented at once; none serves meanwhile",
		New: func(Args) (Fault, error) { return &Defragment{}, nil },
	},
	rebuildKind, upgradeKind, downgradeKind, scriptKind,
)

// MoveLeader moves the leadership.
type MoveLeader struct{}

func (*MoveLeader) Needs(lab.Member) error { return nil }

// movesFor bounds the wait for another leader.
const movesFor = 20 * time.Second

func (*MoveLeader) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	leader, err := s.Cluster.Leader(ctx)
	if err != nil {
		return Effect{}, err
	}
	to := ""
	for _, group := range [][]lab.Member{targets, s.Members} {
		for _, m := range group {
			if to == "" && m.Name() != leader && s.reads(ctx, m) {
				to = m.Name()
			}
		}
	}
	if to == "" {
		return Effect{Message: "there is nobody to hand it to"}, nil
	}
	s.event(history.EventFault, leader, "leadership handed to "+to)
	var last error
	moved, err := until(ctx, s.slow(movesFor), func(ctx context.Context) (bool, error) {
		now, err := s.Cluster.Leader(ctx)
		if err != nil || now != leader {
			return err == nil, err
		}
		short, cancel := context.WithTimeout(ctx, s.slow(2*time.Second))
		defer cancel()
		c := s.Cluster.Client(to)
		status, err := c.Status(short, c.Endpoints()[0])
		if err == nil {
			_, err = s.Cluster.Client(leader).MoveLeader(short, status.Header.MemberId)
		}
		last = err // looked at again
		return false, nil
	})
	if err != nil || !moved {
		return Effect{Message: fmt.Sprintf("%s still leads: %v", leader, last)}, err
	}
	return Effect{Observed: true, Message: "from " + leader + " to " + to}, nil
}

// Heal has nothing to take back: any member may lead.
func (*MoveLeader) Heal(context.Context, *Scene, []lab.Member) error { return nil }

// Defragment rewrites dbs.
type Defragment struct{}

func (*Defragment) Needs(lab.Member) error { return nil }

// defragFor bounds one defragmentation.
const defragFor = 30 * time.Second

func (*Defragment) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	err := each(targets, func(m lab.Member) error {
		s.event(history.EventFault, m.Name(), "defragmentation")
		short, cancel := context.WithTimeout(ctx, s.slow(defragFor))
		defer cancel()
		c := s.Cluster.Client(m.Name())
		_, err := c.Defragment(short, c.Endpoints()[0])
		return err
	})
	if err != nil && ctx.Err() == nil {
		// Beside another fault a member may be away.
		return Effect{Message: strings.ReplaceAll(err.Error(), "\n", "; ")}, nil
	}
	return Effect{Observed: err == nil, Message: fmt.Sprintf("%d dbs rewritten", len(targets))}, err
}

// Heal has nothing to take back: a defragmentation ends by itself, or with its
// process.
func (*Defragment) Heal(context.Context, *Scene, []lab.Member) error { return nil }

// errNotReached is for a cluster that was not asked in time.
var errNotReached = errors.New("no other member of the cluster serves")
