package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/internal/each"
	"github.com/etcdlab/etcdlab/lab"
)

// quietWithin bounds the wait for all members to have applied the same entries;
// where one does not answer at all they will not, and withoutWithin is enough.
const (
	quietWithin   = 15 * time.Second
	withoutWithin = 2 * time.Second
	// servesWithin bounds the wait for a member's last answer: an election that
	// happens just then, or a busy machine, is no failure to recover.
	servesWithin = 30 * time.Second
)

// finish stores what the cluster says of itself with the load stopped, and a
// copy of each member's log and data directory.
func (r *run) finish(ctx context.Context) error {
	r.opts.Progress("load stopped; collecting the members' state")
	members := r.lab.Members
	final := &history.Final{Members: make([]history.FinalMember, len(members))}
	revision := r.cluster.quiet(ctx)
	// Every member has said what it holds before the first is frozen to be copied.
	err := each.Do(len(members), func(i int) error {
		final.Members[i] = r.cluster.final(ctx, members[i], revision)
		return nil
	})
	err = errors.Join(err, each.Do(len(members), func(i int) error {
		return r.copy(ctx, members[i], &final.Members[i])
	}))
	final.Time = clock.Now()
	return errors.Join(err, history.WriteFinal(r.dir.path, final))
}

// copy stores a member's data directory and log. Data that cannot be had is for
// the judge to weigh.
func (r *run) copy(ctx context.Context, m lab.Member, f *history.FinalMember) error {
	how, err := r.copyData(ctx, m)
	f.Data = how
	if err != nil {
		f.DataError = err.Error()
	}
	logErr := r.copyLog(ctx, m)
	if f.Files, err = history.Sizes(history.Dir(r.dir.path).Path(history.DirMembers, m.Name())); err != nil {
		err = fmt.Errorf("list the files of %s: %w", m.Name(), err)
	}
	return errors.Join(logErr, err)
}

// quiet waits until every member that answers has applied the same index and
// gives the highest revision that all of them hold; 0 when none answers.
func (c *cluster) quiet(ctx context.Context) int64 {
	ctx, cancel := context.WithTimeout(ctx, c.slow(quietWithin))
	defer cancel()
	begun := clock.Now()
	for {
		revision, same, all := c.common(ctx)
		if same || !all && clock.Since(begun) > c.slow(withoutWithin) {
			return revision
		}
		select {
		case <-ctx.Done():
			return revision
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// common gives the highest revision that all members that answer hold, whether
// all have applied the same index, and whether all answer.
func (c *cluster) common(ctx context.Context) (revision int64, same, all bool) {
	same, all = true, true
	var applied uint64
	for name := range c.clients {
		short, cancel := context.WithTimeout(ctx, c.slow(time.Second))
		s, err := c.status(short, name)
		cancel()
		if err != nil {
			same, all = false, false
			continue
		}
		if applied != 0 && s.RaftAppliedIndex != applied {
			same = false
		}
		applied = s.RaftAppliedIndex
		if revision == 0 || s.Header.Revision < revision {
			revision = s.Header.Revision
		}
	}
	return revision, same, all
}

// final asks one member for its end state.
func (c *cluster) final(ctx context.Context, m lab.Member, revision int64) history.FinalMember {
	ctx, cancel := context.WithTimeout(ctx, c.slow(2*servesWithin))
	defer cancel()
	f := history.FinalMember{Name: m.Name()}
	if info, err := m.Info(ctx); err == nil {
		f.Version = info.Version
	}
	if err := c.fill(ctx, m, &f, revision); err != nil {
		f.Error = err.Error()
	}
	return f
}

func (c *cluster) fill(ctx context.Context, m lab.Member, f *history.FinalMember, revision int64) error {
	client := c.clients[f.Name]
	endpoint := client.Endpoints()[0]
	serves, cancel := context.WithTimeout(ctx, c.slow(servesWithin))
	defer cancel()
	if err := c.untilServes(serves, m); err != nil {
		return fmt.Errorf("linearizable read: %w", err)
	}
	f.Serving = true
	s, err := client.Status(ctx, endpoint)
	if err != nil {
		return fmt.Errorf("status: %w", err)
	}
	f.ID = s.Header.MemberId
	f.Revision, f.RaftTerm, f.RaftIndex = s.Header.Revision, s.RaftTerm, s.RaftIndex
	f.AppliedIndex, f.Leader = s.RaftAppliedIndex, s.Leader
	alarms, err := client.AlarmList(ctx)
	if err != nil {
		return fmt.Errorf("list alarms: %w", err)
	}
	for _, a := range alarms.Alarms {
		f.Alarms = append(f.Alarms, fmt.Sprintf("%s on member %x", a.Alarm, a.MemberID))
	}
	// Hash commits etcd's batch of applied entries to the db file first, so
	// that the copy taken next holds all of them.
	if _, err := pb.NewMaintenanceClient(client.ActiveConnection()).Hash(ctx, &pb.HashRequest{}); err != nil {
		return fmt.Errorf("hash the whole store: %w", err)
	}
	h, err := client.HashKV(ctx, endpoint, revision)
	if err != nil {
		return fmt.Errorf("hash the store at revision %d: %w", revision, err)
	}
	f.HashRevision, f.CompactRevision, f.Hash = revision, h.CompactRevision, h.Hash
	return nil
}

// copyData unpacks the member's data directory into the run directory. It has
// its name only once it is whole: half a data directory, as a kill of etcdlab
// leaves, would be judged as if etcd had left it so.
func (r *run) copyData(ctx context.Context, m lab.Member) (string, error) {
	info, err := m.Info(ctx)
	switch {
	case err != nil:
		return "", err
	case info.Unmountable != "":
		return history.DataUnmountable, errors.New(info.Unmountable)
	case info.State == lab.StateLost:
		return "", fmt.Errorf("copy the data of %s: %w", m.Name(), errLost)
	}
	a, err := lab.Can[lab.Archiver](m)
	if err != nil {
		return "", err
	}
	pr, pw := io.Pipe()
	var how string
	done := make(chan error, 1)
	go func() {
		var err error
		how, err = a.Archive(ctx, pw)
		done <- errors.Join(err, pw.CloseWithError(err))
	}()
	dir := filepath.Join(r.dir.path, history.DirMembers, m.Name(), "data")
	part := dir + ".part"
	err = untar(pr, part)
	_ = pr.CloseWithError(err) // lets the sender end
	if err = errors.Join(err, <-done); err == nil {
		err = os.Rename(part, dir)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("copy the data of %s: %w", m.Name(), err), os.RemoveAll(part))
	}
	return how, nil
}
