package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/failpoint"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Heal makes a member whose agent answers what it should be: its disk powered,
// honest as the lab says and without faults, its etcd not frozen and without
// armed failpoints, its link up and without rules. It starts no etcd. sick says
// that the file system has met failures, after which it may be read-only until it
// is mounted again: by an agent that is started again.
func Heal(ctx context.Context, h Host, d spec.Disk, failpoints string) (sick bool, err error) {
	if d.Kind == "fault" {
		if sick, err = healDisk(ctx, h, d.Profile); err != nil || sick {
			return sick, err
		}
	}
	// A change that a killed etcdlab asked for may have been under way until now.
	st, err := h.Status(ctx)
	if err != nil {
		return false, err
	}
	if st.State == lab.StateFrozen {
		if err := h.Thaw(ctx); err != nil {
			return false, err
		}
	}
	var lacks *lab.UnsupportedError
	if err := h.SetNetRules(ctx, "", nil, 0); err != nil && !errors.As(err, &lacks) {
		return false, err
	}
	if err := h.SetLink(ctx, true); err != nil && !st.LinkUp {
		return false, err
	}
	if st.Limited != (lab.Limits{}) {
		if err := h.SetLimits(ctx, lab.Limits{}); err != nil {
			return false, err
		}
	}
	if err := healFiles(ctx, h, st, d.Kind); err != nil {
		return false, err
	}
	if err := healClock(ctx, h); err != nil && st.State != lab.StateOff {
		return false, err
	}
	if st.Settings != nil && !st.Wiped {
		if err := h.Configure(ctx, nil); err != nil {
			return false, err
		}
		if st, err = h.Status(ctx); err != nil {
			return false, err
		}
	}
	if st.PID != 0 && st.Stale {
		return false, h.Kill(ctx)
	}
	if st.PID != 0 && failpoints != "" && clearFailpoints(ctx, failpoints) != nil {
		// A new process has none armed.
		return false, h.Kill(ctx)
	}
	return false, nil
}

// clockSlack is what a clock may be off by that nobody has set: those of virtual
// machines drift.
const clockSlack = 500 * time.Millisecond

func healClock(ctx context.Context, h Host) error {
	var none *lab.UnsupportedError
	c, err := h.Clock(ctx)
	switch {
	case errors.As(err, &none):
		return nil
	case err != nil:
		return err
	case c.Rate == 0 && c.Offset.Abs() < clockSlack:
		return nil
	}
	return h.SetClock(ctx, lab.Clock{})
}

// clearFailpoints disarms what an earlier crash, or a user, has armed in an etcd
// that goes on running. Disarming does not wake what sleeps at a point.
func clearFailpoints(ctx context.Context, url string) error {
	client := failpoint.New(url)
	points, err := client.List(ctx)
	if err != nil {
		return err
	}
	for _, p := range points {
		if p.Terms == "" {
			continue
		}
		if strings.Contains(p.Terms, "sleep") {
			return fmt.Errorf("failpoint %s was armed with %s", p.Name, p.Terms)
		}
		if err := client.Clear(ctx, p.Name); err != nil {
			return err
		}
	}
	return nil
}

// healDisk ends holds, faults and a loss of power that was not restored: a
// crash that did not come to its end. What no flush covered is lost then.
func healDisk(ctx context.Context, h Host, profile string) (sick bool, err error) {
	if err := h.Release(ctx); err != nil {
		return false, err
	}
	faults, err := h.DiskFaults(ctx)
	if err != nil {
		return false, err
	}
	was, err := h.Status(ctx)
	if err != nil {
		return false, err
	}
	// An etcd that goes on in spite of failures that are over needs no new mount.
	sick = was.Broken != "" || was.MetFailures && was.State == lab.StateStopped || slices.ContainsFunc(faults, func(f disk.FaultState) bool {
		return f.Hit > 0 && f.Action != disk.ActDelay && f.Action != disk.ActHang
	})
	if err := h.SetDiskFaults(ctx, nil); err != nil {
		return sick, err
	}
	if err := h.SetDiskProfile(ctx, profile); err != nil {
		return sick, err
	}
	// The changes above waited for their turn, so this is nobody's half-way.
	st, err := h.Status(ctx)
	if err != nil || st.State != lab.StateOff {
		return sick, err
	}
	if err := h.Kill(ctx); err != nil {
		return false, err
	}
	_, err = h.Restore(ctx, disk.Drop, 0)
	return false, err
}

// healFiles gives back what filled the file system, and undoes damage of files. A
// file that etcd has changed since stays as it is: that is for whoever damaged it
// to know, and has a fault's record.
func healFiles(ctx context.Context, h Host, st Status, kind string) error {
	if st.State == lab.StateOff {
		return nil
	}
	if st.Damaged {
		if err := h.Kill(ctx); err != nil {
			return err
		}
		if _, err := h.Repair(ctx); err != nil {
			return err
		}
	}
	if kind == "plain" {
		return nil
	}
	_, err := h.Unfill(ctx)
	return err
}
