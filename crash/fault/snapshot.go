package fault

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/etcdlab/etcdlab/lab"
)

// PastSnapshot waits until the leader must have compacted its raft log past all
// that it had applied when the wait began, so that whoever is away needs a
// snapshot, and tells what was seen. etcd compacts the log when it takes a
// snapshot, each snapshot-count entries, and leaves catch-up entries before it;
// for 30 s after it has sent a snapshot to somebody it does not (etcd's
// server/etcdserver, compactRaftLog). skips, if not nil, is called then, and may
// end that.
func (s *Scene) PastSnapshot(ctx context.Context, skips func(ctx context.Context, leader string) error) (string, error) {
	count, left, err := s.snapshotEntries(ctx)
	if err != nil {
		return "", err
	}
	leader, from, err := s.applied(ctx, 0)
	if err != nil {
		return "", err
	}
	least := from + count + left + 1
	for {
		logged := s.skipped(ctx, leader)
		now, at, err := s.applied(ctx, least)
		if err != nil {
			return "", err
		}
		if now == leader && s.skipped(ctx, leader) == logged {
			return fmt.Sprintf("the others applied %d entries, with a snapshot each %d and %d left for those who lag", at-from, count, left), nil
		}
		if now == leader && skips != nil {
			if err := skips(ctx, leader); err != nil {
				return "", err
			}
		}
		leader, least = now, at+count+1
	}
}

// skipped is how often a member has logged that it did not compact; 0 where its
// log cannot be had.
func (s *Scene) skipped(ctx context.Context, member string) int {
	for _, m := range s.Members {
		l, err := lab.Can[lab.Logger](m)
		if m.Name() != member || err != nil {
			continue
		}
		var log bytes.Buffer
		if l.Logs(ctx, &log, false) == nil {
			return bytes.Count(log.Bytes(), []byte("skip compaction since there is an inflight snapshot"))
		}
	}
	return 0
}

// applied is the leader and its applied index, once that is at least so high.
func (s *Scene) applied(ctx context.Context, least uint64) (leader string, index uint64, err error) {
	for {
		leader, err := s.Cluster.Leader(ctx)
		if err != nil {
			return "", 0, err
		}
		short, cancel := context.WithTimeout(ctx, s.slow(time.Second))
		c := s.Cluster.Client(leader)
		status, err := c.Status(short, c.Endpoints()[0])
		cancel()
		if err == nil && status.RaftAppliedIndex >= least {
			return leader, status.RaftAppliedIndex, nil
		}
		select {
		case <-ctx.Done():
			return "", 0, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// snapshotEntries are the largest snapshot-count and catch-up entries of the
// members: by default 100,000 before etcd 3.6 and 10,000 since, and 5,000.
func (s *Scene) snapshotEntries(ctx context.Context) (count, left uint64, err error) {
	for _, m := range s.Members {
		info, err := m.Info(ctx)
		if err != nil {
			return 0, 0, err
		}
		c, l := snapshotEntries(info)
		count, left = max(count, c), max(left, l)
	}
	return count, left, nil
}

func snapshotEntries(info lab.Info) (count, left uint64) {
	number := func(flag string, normal uint64) uint64 {
		for _, a := range info.Args {
			if v, ok := strings.CutPrefix(a, "--"+flag+"="); ok {
				if n, err := strconv.ParseUint(v, 10, 32); err == nil {
					normal = n
				}
			}
		}
		return normal
	}
	usual := uint64(10_000)
	if semver.Compare(info.Version, "v3.6.0") < 0 {
		usual = 100_000
	}
	return number("snapshot-count", usual), number("snapshot-catchup-entries", number("experimental-snapshot-catchup-entries", 5000))
}
