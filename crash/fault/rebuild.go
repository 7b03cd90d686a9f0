package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/etcd"
)

var rebuildKind = Kind{
	Name: "restore-snapshot", Group: GroupCluster, Members: 3,
	Doc: "the quorum is lost: the targets are killed and lose all of their data; healed by a new cluster from a snapshot of the survivor that knows most",
	New: func(Args) (Fault, error) { return &Rebuild{}, nil },
}

// Rebuild takes the quorum away for good and makes a new cluster of what is left.
//
// A leader has every write that was acknowledged. So if the targets are the
// followers, nothing that was acknowledged before they were killed may be missing
// from the new cluster, and nothing is after it, for there is no quorum. With
// others as targets, what was acknowledged and is above the revision of the
// snapshot may be gone: that is what the members had promised, and the judge says
// so instead of judging it.
type Rebuild struct{}

func (*Rebuild) Needs(m lab.Member) error {
	return all(m, needs[lab.Runner], needs[lab.Wiper], needs[lab.Restorer])
}

func (f *Rebuild) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	n := len(s.Members)
	if left := n - len(targets); left == 0 || left > n/2 {
		return Effect{}, lab.Misuse("restore-snapshot of %d of %d members: a majority must be lost, and one survive; use target quorum, or followers", len(targets), n)
	}
	for _, m := range s.Members {
		if err := f.Needs(m); err != nil {
			return Effect{}, err
		}
	}
	if err := each(targets, func(m lab.Member) error { return kill(ctx, s, m) }); err != nil {
		return Effect{}, err
	}
	for _, m := range s.Members {
		s.event(history.EventFault, m.Name(), "the quorum is lost")
	}
	for _, m := range targets {
		if err := s.wipe(ctx, m); err != nil {
			return Effect{}, err
		}
	}
	for _, m := range s.Members {
		if s.reads(ctx, m) {
			return Effect{Message: m.Name() + " still serves without a quorum"}, nil
		}
	}
	return Effect{Observed: true, Message: fmt.Sprintf("%d of %d members lost their data, and nothing is served", len(targets), n)}, nil
}

// Heal makes the new cluster. Another heal that ended half-way has left members of
// the old cluster, of the new one, and emptied ones: if a quorum of the new one
// serves, the others join it; if not, all is made again of what is left.
func (f *Rebuild) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	var serving, wiped []lab.Member
	for _, m := range s.Members {
		info, err := m.Info(ctx)
		switch {
		case err != nil:
			return err
		case info.Wiped:
			wiped = append(wiped, m)
		case s.reads(ctx, m):
			serving = append(serving, m)
		}
	}
	if len(serving) > 0 {
		for _, m := range s.Members {
			if err := s.bringBack(ctx, m, wiped); err != nil {
				return fmt.Errorf("%s: %w", m.Name(), err)
			}
		}
		return nil
	}
	return f.rebuild(ctx, s, wiped)
}

// bringBack has a member join the cluster that serves. One whose data are of
// another cluster does not serve with them.
func (s *Scene) bringBack(ctx context.Context, m lab.Member, wiped []lab.Member) error {
	if err := s.rejoin(ctx, m, wiped, false); err != nil {
		return err
	}
	if err := s.serves(ctx, m); err != nil || s.reads(ctx, m) {
		return err
	}
	if err := kill(ctx, s, m); err != nil {
		return err
	}
	if err := s.wipe(ctx, m); err != nil {
		return err
	}
	return s.rejoin(ctx, m, wiped, false)
}

// rebuild takes the snapshot and restores it on every member: the survivor last,
// so that at no instant its data are nowhere.
func (f *Rebuild) rebuild(ctx context.Context, s *Scene, wiped []lab.Member) error {
	gone := map[string]bool{}
	for _, m := range wiped {
		gone[m.Name()] = true
	}
	source, revision, err := s.survivor(ctx, gone)
	if err != nil {
		return err
	}
	file, err := s.snapshot(ctx, source)
	if err != nil {
		return fmt.Errorf("take a snapshot of %s: %w", source.Name(), err)
	}
	defer os.Remove(file)
	how := lab.Restoring{Token: fmt.Sprintf("etcdlab-restored-%x", s.Seed)}
	var cluster []string
	ids := map[string]uint64{}
	for _, m := range s.Members {
		info, err := m.Info(ctx)
		if err != nil {
			return err
		}
		cluster = append(cluster, m.Name()+"="+info.PeerURL)
		ids[m.Name()] = etcd.MemberID(info.PeerURL, how.Token)
		if err := kill(ctx, s, m); err != nil {
			return err
		}
	}
	how.Cluster = strings.Join(cluster, ",")
	restore := func(m lab.Member) error {
		r, err := lab.Can[lab.Restorer](m)
		if err != nil {
			return err
		}
		snapshot, err := os.Open(file)
		if err != nil {
			return err
		}
		defer snapshot.Close()
		return r.RestoreSnapshot(ctx, snapshot, how)
	}
	begun := clock.Now()
	for _, m := range s.Members {
		if m.Name() != source.Name() {
			if err := restore(m); err != nil {
				return err
			}
		}
	}
	if err := restore(source); err != nil {
		return err
	}
	for _, m := range s.Members {
		s.Record(history.Event{
			Time: begun, Kind: history.EventRebuilt, Round: s.Round, Member: m.Name(), ID: ids[m.Name()], Revision: revision,
			Message: "of a snapshot of " + source.Name(), Duration: clock.Now() - begun,
		})
	}
	return each(s.Members, func(m lab.Member) error { return s.start(ctx, m) })
}

// survivor is the member that has applied most, with its revision: those that
// were not emptied are started, and nothing can be added to what they hold.
func (s *Scene) survivor(ctx context.Context, gone map[string]bool) (best lab.Member, revision int64, err error) {
	var index uint64
	for _, m := range s.Members {
		if gone[m.Name()] {
			continue
		}
		if err := s.start(ctx, m); err != nil {
			return nil, 0, err
		}
		at, rev, err := s.settled(ctx, m)
		if err != nil {
			return nil, 0, err
		}
		if best == nil || at > index {
			best, index, revision = m, at, rev
		}
	}
	if best == nil {
		return nil, 0, errors.New("no member has its data; take the lab down, and up makes it anew")
	}
	return best, revision, nil
}

// settled waits until a member without a quorum has applied all that it knows to
// be agreed on: its index is the same over some looks.
func (s *Scene) settled(ctx context.Context, m lab.Member) (index uint64, revision int64, err error) {
	const looks = 20
	same := 0
	ok, err := until(ctx, s.slow(endsWithin), func(ctx context.Context) (bool, error) {
		short, cancel := context.WithTimeout(ctx, s.slow(time.Second))
		defer cancel()
		c := s.Cluster.Client(m.Name())
		st, err := c.Status(short, c.Endpoints()[0])
		if err != nil {
			same = 0
			return false, nil
		}
		if st.RaftAppliedIndex != index {
			same = 0
		}
		same++
		index, revision = st.RaftAppliedIndex, st.Header.Revision
		return same >= looks, nil
	})
	if err == nil && !ok {
		err = fmt.Errorf("%s does not answer without a quorum", m.Name())
	}
	return index, revision, err
}

// snapshot stores a member's in a file here.
func (s *Scene) snapshot(ctx context.Context, m lab.Member) (file string, err error) {
	stream, err := s.Cluster.Client(m.Name()).Snapshot(ctx)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp("", "etcdlab-snapshot-*")
	if err != nil {
		return "", errors.Join(err, stream.Close())
	}
	_, err = io.Copy(f, stream)
	if err = errors.Join(err, stream.Close(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}
