package crash

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/lab"
)

// profile is what kind of disk the members have during the run, all of them
// named where they differ. An earlier run or a user may have armed another one
// than the spec's, and etcd must not be blamed for what a lying disk loses.
func (r *run) profile(ctx context.Context) (string, error) {
	if r.opts.Profile != "" {
		return r.opts.Profile, nil
	}
	var names []string
	for _, m := range r.lab.Members {
		d, err := lab.Can[lab.DiskFaulter](m)
		if err != nil {
			return r.lab.Spec.Disk.Profile, nil // a plain disk has none
		}
		st, err := d.DiskStats(ctx)
		if err != nil {
			return "", err
		}
		if !slices.Contains(names, st.Profile) {
			names = append(names, st.Profile)
		}
	}
	return strings.Join(names, ", "), nil
}

// arm sets the disk profile, now that the members serve.
func (r *run) arm(ctx context.Context) error {
	for _, m := range r.lab.Members {
		if r.opts.Profile == "" {
			break
		}
		d, err := lab.Can[lab.DiskFaulter](m)
		if err != nil {
			return err
		}
		st, err := d.DiskStats(ctx)
		if err != nil {
			return err
		}
		r.profiles[m.Name()] = st.Profile
		if err := d.SetDiskProfile(ctx, r.opts.Profile); err != nil {
			return fmt.Errorf("set disk profile %s on %s: %w", r.opts.Profile, m.Name(), err)
		}
		r.dir.event(history.Event{Time: clock.Now(), Kind: history.EventFault, Member: m.Name(), Message: "disk profile " + r.opts.Profile})
	}
	return nil
}

// disarm gives the disks back the profiles they had: the lab's next run is not
// to be told that they are honest while they lie.
func (r *run) disarm(ctx context.Context) error {
	var errs []error
	for _, m := range r.lab.Members {
		was, armed := r.profiles[m.Name()]
		if !armed {
			continue
		}
		d, err := lab.Can[lab.DiskFaulter](m)
		if err == nil {
			err = d.SetDiskProfile(ctx, was)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("set disk profile %s on %s again: %w", was, m.Name(), err))
		}
	}
	return errors.Join(errs...)
}
