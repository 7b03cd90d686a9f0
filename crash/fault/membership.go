package fault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/etcd"
)

// Ways in which Membership takes a member out of its cluster.
const (
	wayRemove  = "remove"  // it is removed, and ends
	wayReplace = "replace" // its disk is lost, then it is removed
	wayLearner = "learner" // as remove; it comes back without a vote first
)

var membershipKinds = []Kind{
	{
		Name: "member-remove-add", Group: GroupCluster, Members: 3,
		Doc: "the targets are removed from the cluster one by one; healed by adding each anew, with a fresh disk",
		New: func(Args) (Fault, error) { return &Membership{Way: wayRemove}, nil },
	},
	{
		Name: "replace-member", Group: GroupCluster, Members: 3,
		Doc: "the targets are killed and lose all of their data; healed by replacing each with a new member on the fresh disk",
		New: func(Args) (Fault, error) { return &Membership{Way: wayReplace}, nil },
	},
	{
		Name: "learner", Group: GroupCluster, Members: 3,
		Doc: "the targets are removed and come back as learners, with a fresh disk, without a vote; healed by promoting each",
		New: func(Args) (Fault, error) { return &Membership{Way: wayLearner}, nil },
	},
}

// Membership takes members out of their cluster and brings them back. One that
// comes back has another ID and none of its old data: what it had promised under
// the old one nobody may rely on.
type Membership struct{ Way string }

func (*Membership) Needs(m lab.Member) error {
	return all(m, needs[lab.Runner], needs[lab.Configurer], needs[lab.Wiper])
}

// changeFor bounds one change of the membership: etcd refuses those for 5 s after
// a member was away.
const changeFor = 40 * time.Second

func (f *Membership) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	var done []string
	for _, m := range targets {
		if err := f.takeOut(ctx, s, m, targets); err != nil {
			return Effect{}, fmt.Errorf("%s: %w", m.Name(), err)
		}
		done = append(done, m.Name())
	}
	what := map[string]string{wayRemove: "removed from the cluster", wayReplace: "lost its data", wayLearner: "came back as a learner"}[f.Way]
	return Effect{Observed: true, Message: strings.Join(done, ", ") + " " + what}, nil
}

func (f *Membership) takeOut(ctx context.Context, s *Scene, m lab.Member, targets []lab.Member) error {
	if f.Way == wayReplace {
		if err := kill(ctx, s, m); err != nil {
			return err
		}
		return s.wipe(ctx, m)
	}
	s.event(history.EventFault, m.Name(), "to be removed from the cluster")
	if err := s.remove(ctx, m, targets); err != nil {
		return err
	}
	// etcd ends once it has applied its removal. One that it does not hear of, or
	// not in time, has lost its cluster all the same.
	how, ended, err := exited(ctx, m, s.slow(5*time.Second))
	if err != nil {
		return err
	}
	if ended {
		s.event(history.EventExited, m.Name(), how)
	} else if err := kill(ctx, s, m); err != nil {
		return err
	}
	if f.Way != wayLearner {
		return nil
	}
	return s.rejoin(ctx, m, targets, true)
}

// Heal brings each target back, whatever it was left as.
func (f *Membership) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	for _, m := range targets {
		if err := s.rejoin(ctx, m, targets, false); err != nil {
			return fmt.Errorf("%s: %w", m.Name(), err)
		}
		if f.Way != wayLearner {
			continue
		}
		info, err := m.Info(ctx)
		if err != nil {
			return err
		}
		j, err := s.joiner(ctx, m, targets)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, s.slow(changeFor))
		err = j.Promote(ctx, info.PeerURL)
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name(), err)
		}
		s.event(history.EventHealed, m.Name(), "promoted to a voter")
	}
	return nil
}

// wipe empties the data directory of a member whose etcd has ended.
func (s *Scene) wipe(ctx context.Context, m lab.Member) error {
	w, err := lab.Can[lab.Wiper](m)
	if err != nil {
		return err
	}
	begun := clock.Now()
	if err := w.Wipe(ctx); err != nil {
		return err
	}
	s.timed(history.EventWiped, m.Name(), "its disk is a fresh one", begun)
	return nil
}

// remove takes a member out of the cluster's list, and sees it gone.
func (s *Scene) remove(ctx context.Context, m lab.Member, besides []lab.Member) error {
	info, err := m.Info(ctx)
	if err != nil {
		return err
	}
	j, err := s.joiner(ctx, m, besides)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.slow(changeFor))
	defer cancel()
	return j.Remove(ctx, info.PeerURL)
}

// rejoin has a member that is not, or not any more, part of the cluster join it
// anew, and starts it.
func (s *Scene) rejoin(ctx context.Context, m lab.Member, besides []lab.Member, learner bool) error {
	j, err := s.joiner(ctx, m, besides)
	if err != nil {
		return err
	}
	info, err := m.Info(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.slow(changeFor))
	defer cancel()
	before, _, err := j.Find(ctx, info.PeerURL)
	if err != nil {
		return err
	}
	j.Learner = learner
	begun := clock.Now()
	if err := j.Rejoin(ctx, m); err != nil {
		return err
	}
	after, _, err := j.Find(ctx, info.PeerURL)
	switch {
	case err != nil:
		return err
	case after == nil:
		return fmt.Errorf("it is no member after it was added")
	case before == nil || before.ID != after.ID || before.Name == "" || info.Wiped:
		s.Record(history.Event{
			Time: begun, Kind: history.EventJoined, Round: s.Round, Member: m.Name(), ID: after.ID,
			Message: "with a fresh disk, as member " + fmt.Sprintf("%x", after.ID), Duration: clock.Now() - begun,
		})
	}
	s.timed(history.EventStarted, m.Name(), "", begun)
	return nil
}

// joiner speaks to the cluster through a member that serves and is none of those.
func (s *Scene) joiner(ctx context.Context, m lab.Member, besides []lab.Member) (*etcd.Joiner, error) {
	var via *clientv3.Client
	_, err := until(ctx, s.slow(endsWithin), func(ctx context.Context) (bool, error) {
		// Of the targets, those that are back serve as well.
		for _, others := range []bool{true, false} {
			for _, o := range s.Members {
				if o.Name() != m.Name() && slices.Contains(besides, o) != others && s.reads(ctx, o) {
					via = s.Cluster.Client(o.Name())
					return true, nil
				}
			}
		}
		return false, nil
	})
	if err == nil && via == nil {
		err = errNotReached
	}
	return &etcd.Joiner{Via: via, Slow: s.Slow}, err
}

// reads says whether a member answers a linearizable read.
func (s *Scene) reads(ctx context.Context, m lab.Member) bool {
	short, cancel := context.WithTimeout(ctx, s.slow(500*time.Millisecond))
	defer cancel()
	_, err := s.Cluster.Client(m.Name()).Get(short, "\x00", clientv3.WithCountOnly())
	return err == nil || strings.Contains(err.Error(), "user name is empty")
}
