package crash

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/etcdlab/etcdlab/crash/schedule"
)

// until waits for the condition of a step and says what was seen.
func (r *run) until(ctx context.Context, condition string) (string, error) {
	switch condition {
	case schedule.UntilSnapshot:
		return r.untilSnapshot(ctx)
	}
	return "", fmt.Errorf("unknown condition %q", condition)
}

// untilSnapshot waits until the leader must have compacted its raft log past
// all that it had applied when the wait began, so that whoever is away needs a
// snapshot. etcd compacts when it takes a snapshot, each snapshot-count entries,
// and leaves catch-up entries before it (server/etcdserver, snapshot).
func (r *run) untilSnapshot(ctx context.Context) (string, error) {
	from, err := r.applied(ctx, 0)
	if err != nil {
		return "", err
	}
	count, left := r.snapshotEntries()
	need := from + count + left + 1
	at, err := r.applied(ctx, need)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("the others applied %d entries, with a snapshot each %d and %d left for those who lag", at-from, count, left), nil
}

// applied is the leader's applied index, once it is at least so high.
func (r *run) applied(ctx context.Context, least uint64) (uint64, error) {
	for {
		leader, err := r.cluster.Leader(ctx)
		if err != nil {
			return 0, err
		}
		short, cancel := context.WithTimeout(ctx, r.cluster.slow(time.Second))
		s, err := r.cluster.status(short, leader)
		cancel()
		if err == nil && s.RaftAppliedIndex >= least {
			return s.RaftAppliedIndex, nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// snapshotEntries are the largest snapshot-count and catch-up entries of the
// members: by default 100,000 before etcd 3.6 and 10,000 since, and 5,000.
func (r *run) snapshotEntries() (count, left uint64) {
	number := func(args []string, flag string, normal uint64) uint64 {
		for _, a := range args {
			if v, ok := strings.CutPrefix(a, "--"+flag+"="); ok {
				if n, err := strconv.ParseUint(v, 10, 32); err == nil {
					normal = n
				}
			}
		}
		return normal
	}
	usual := uint64(10_000)
	if semver.Compare(r.meta.Etcd, "v3.6.0") < 0 {
		usual = 100_000
	}
	for _, m := range r.meta.Members {
		count = max(count, number(m.Args, "snapshot-count", usual))
		left = max(left, number(m.Args, "snapshot-catchup-entries", number(m.Args, "experimental-snapshot-catchup-entries", 5000)))
	}
	return count, left
}
