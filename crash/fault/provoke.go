package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/etcdlab/etcdlab/lab"
)

// provoker is something that makes etcd come to failpoints which a load alone
// does not reach.
type provoker struct {
	points []string // their names, or how they begin
	// within is how long it may take, where the default of 5 s is too short.
	within time.Duration
	// members is the least a lab must have of them for it to lead anywhere.
	members int
	// restarts says that it ends etcd and starts it with a panic armed.
	restarts bool
	do       func(ctx context.Context, s *Scene, f *Failpoint, targets []lab.Member) error
}

var provokers = []provoker{
	{points: []string{"raftBeforeSaveSnap", "raftAfterSaveSnap", "raftBeforeApplySnap", "raftAfterApplySnap", "raftAfterWALRelease",
		"raftBeforeWALSaveSnap", "applyBeforeOpenSnapshot", "applyAfterOpenSnapshot", "snapDB"}, within: time.Minute, members: 3, restarts: true, do: receiveSnapshot},
	{points: []string{"beforeApplyOneConfChange", "afterIsMemberExist"}, do: updateMember},
	{points: []string{"defrag"}, do: defragment},
	// The load compacts, once its recorders have caught up after a fault.
	{points: []string{"compact"}, within: 15 * time.Second, do: nothing},
	{points: []string{"beforeLookup", "beforeServeHTTPLeaseRenew", "beforeCheckpointInLeaseRenew"}, do: useLeases},
	{points: []string{"beforeRangeStreamChunk"}, do: streamRange},
	{points: []string{"beforePublishing"}, within: 15 * time.Second, restarts: true, do: startAgain},
}

// provoker is that of the failpoint, if it has one.
func (f *Failpoint) provoker() *provoker {
	for i := range provokers {
		if slices.ContainsFunc(provokers[i].points, func(p string) bool { return strings.HasPrefix(f.Point, p) }) {
			return &provokers[i]
		}
	}
	return nil
}

// provoke does what leads etcd to the point, until ctx ends: the point was
// reached. What then fails is no error, for the point ends what it meets.
func (f *Failpoint) provoke(ctx context.Context, s *Scene, targets []lab.Member) {
	p := f.provoker()
	if p == nil || s.Cluster == nil || len(s.Members) < p.members {
		return
	}
	for ctx.Err() == nil {
		_ = p.do(ctx, s, f, targets)
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// receiveSnapshot keeps one of the targets down until the others have compacted
// their logs past it: once it is started it is sent a snapshot. Frozen or cut off
// it would find what it missed in its sockets.
func receiveSnapshot(ctx context.Context, s *Scene, f *Failpoint, targets []lab.Member) error {
	m := targets[s.Seed%uint64(len(targets))]
	if err := kill(ctx, s, m); err != nil {
		return err
	}
	if _, err := s.PastSnapshot(ctx, s.again); err != nil {
		return err
	}
	if err := startArmed(ctx, s, f, m); err != nil {
		return err
	}
	_, _, err := exited(ctx, m, s.slow(5*time.Second))
	return err
}

// again kills a member and starts it: it forgets whom it sent a snapshot. It may be
// no target, which nobody else would start again: what is begun is ended, whenever
// the point was reached.
func (s *Scene) again(ctx context.Context, member string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.slow(20*time.Second))
	defer cancel()
	for _, m := range s.Members {
		if m.Name() == member {
			return errors.Join(kill(ctx, s, m), s.start(ctx, m))
		}
	}
	return nil
}

// updateMember proposes a change of the membership that changes nothing: the
// same peer addresses again.
func updateMember(ctx context.Context, s *Scene, _ *Failpoint, _ []lab.Member) error {
	return s.ask(ctx, func(ctx context.Context, m lab.Member) error {
		c := s.Cluster.Client(m.Name())
		list, err := c.MemberList(ctx)
		if err != nil || len(list.Members) == 0 {
			return err
		}
		own := list.Members[0]
		_, err = c.MemberUpdate(ctx, own.ID, own.PeerURLs)
		return err
	})
}

func nothing(context.Context, *Scene, *Failpoint, []lab.Member) error { return nil }

func defragment(ctx context.Context, s *Scene, _ *Failpoint, targets []lab.Member) error {
	for _, m := range targets {
		short, cancel := context.WithTimeout(ctx, s.slow(5*time.Second))
		c := s.Cluster.Client(m.Name())
		_, err := c.Defragment(short, c.Endpoints()[0])
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// nobodysLease is the ID of a lease that nobody has: what is asked of it changes
// nothing, and is passed on to the leader all the same.
const nobodysLease = 0x7e57

// useLeases asks every member to keep a lease and for its time to live: those
// that do not lead pass both on to the leader.
func useLeases(ctx context.Context, s *Scene, _ *Failpoint, _ []lab.Member) error {
	return s.ask(ctx, func(ctx context.Context, m lab.Member) error {
		c := s.Cluster.Client(m.Name())
		_, keepErr := c.KeepAliveOnce(ctx, nobodysLease)
		_, liveErr := c.TimeToLive(ctx, nobodysLease)
		return errors.Join(keepErr, liveErr)
	})
}

// streamRange reads by the streaming call that etcd has since 3.7.
func streamRange(ctx context.Context, s *Scene, _ *Failpoint, targets []lab.Member) error {
	for _, m := range targets {
		short, cancel := context.WithTimeout(ctx, s.slow(time.Second))
		defer cancel()
		stream, err := pb.NewKVClient(s.Cluster.Client(m.Name()).ActiveConnection()).RangeStream(short, &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}})
		for err == nil {
			_, err = stream.Recv()
		}
		if err != io.EOF {
			return err
		}
	}
	return nil
}

// startAgain kills the targets and starts them with the point armed.
func startAgain(ctx context.Context, s *Scene, f *Failpoint, targets []lab.Member) error {
	return each(targets, func(m lab.Member) error {
		if err := kill(ctx, s, m); err != nil {
			return err
		}
		if err := startArmed(ctx, s, f, m); err != nil {
			return err
		}
		_, _, err := exited(ctx, m, s.slow(2*time.Second))
		return err
	})
}

// startArmed starts a member with the point armed from its first instruction on.
// The start after that has no point armed again.
func startArmed(ctx context.Context, s *Scene, f *Failpoint, m lab.Member) error {
	c, err := lab.Can[lab.Configurer](m)
	if err != nil {
		return err
	}
	own, err := c.Settings(ctx)
	if err != nil {
		return err
	}
	armed := lab.Settings{}
	if own != nil {
		armed = *own
	}
	armed.Env = maps.Clone(armed.Env)
	if armed.Env == nil {
		armed.Env = map[string]string{}
	}
	armed.Env["GOFAIL_FAILPOINTS"] = f.Point + `=panic("etcdlab")`
	// It must not stay so, whatever ends this.
	defer func() {
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.slow(10*time.Second))
		defer cancel()
		_ = c.Configure(short, own)
	}()
	if err := c.Configure(ctx, &armed); err != nil {
		return err
	}
	return s.start(ctx, m)
}

// ask does something with every member in turn, each with a deadline.
func (s *Scene) ask(ctx context.Context, do func(context.Context, lab.Member) error) error {
	var errs []error
	for _, m := range s.Members {
		short, cancel := context.WithTimeout(ctx, s.slow(time.Second))
		if err := do(short, m); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.Name(), err))
		}
		cancel()
	}
	return errors.Join(errs...)
}
