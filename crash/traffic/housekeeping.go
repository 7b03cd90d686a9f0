package traffic

import (
	"context"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

// Housekeepers do what administrators and their programs do to an etcd while it
// is used, each in a loop of its own, at the members in turn.

// at is the same client at another member.
func (c *client) at(n int) {
	i := n % len(c.load.opts.Endpoints)
	c.member = c.load.opts.Endpoints[i].Member
	if i < len(c.load.clients) {
		c.etcd = c.load.clients[i]
	}
}

func (c *client) compactor(ctx context.Context) {
	p := &c.load.opts.Profile
	var hashed time.Time
	for n := 0; c.sleep(ctx, p.CompactEvery); n++ {
		c.at(n)
		rev := c.compactTo()
		if rev <= 0 {
			continue
		}
		op := c.compact(ctx, rev, c.rng.IntN(3) == 0)
		if op == nil {
			return
		}
		if op.Outcome != history.OK || p.HashEvery == 0 || time.Since(hashed) < p.HashEvery {
			continue
		}
		hashed = time.Now()
		at := rev
		if c.rng.IntN(2) == 0 {
			at = op.Revision
		}
		if !c.hashes(ctx, at) {
			return
		}
	}
}

// compactTo is the next revision to compact up to; 0: none makes sense yet. What
// no recorder has been told of stays: it would be gone as evidence, too.
func (c *client) compactTo() int64 {
	n := &c.load.newest
	head, compacted := c.load.recorded(), n.compacted.Load()
	// What the lab held before the run stays until the run has grown a little.
	low := max(compacted, n.base)
	if head <= low {
		return 0
	}
	if c.load.opts.Profile.CompactDeletes {
		if at := n.aDelete(c.rng); at > low && at < head {
			return at
		}
		return 0
	}
	switch d := c.rng.IntN(40); {
	case d == 0 && compacted > 1:
		return compacted - c.rng.Int64N(min(compacted, 10))
	case d == 1:
		return head + 1_000_000
	case d < 16:
		// At a delete, and right before and after it.
		if at := n.aDelete(c.rng); at > low && at < head {
			return max(low+1, at+c.rng.Int64N(3)-1)
		}
	}
	return max(low+1, head-c.rng.Int64N(c.load.opts.Profile.CompactBehind+1))
}

// hashTries is how often a member that has not come as far yet is asked.
const hashTries = 4

// hashes asks every member for its hash at one revision.
func (c *client) hashes(ctx context.Context, revision int64) bool {
	for i := range c.load.opts.Endpoints {
		c.at(i)
		for try := range hashTries {
			op := c.hash(ctx, revision)
			if op == nil {
				return false
			}
			if op.Outcome == history.OK || op.Error != futureRevision || !c.sleep(ctx, 20*time.Millisecond<<try) {
				break
			}
		}
	}
	return ctx.Err() == nil
}

func (c *client) defragmenter(ctx context.Context) {
	for n := 0; c.sleep(ctx, c.load.opts.Profile.DefragEvery); n++ {
		c.at(n)
		if !c.defrag(ctx) {
			return
		}
	}
}

func (c *client) snapshotter(ctx context.Context) {
	for n := 0; c.sleep(ctx, c.load.opts.Profile.SnapshotEvery); n++ {
		c.at(n)
		if !c.snapshot(ctx) {
			return
		}
	}
}
