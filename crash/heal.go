package crash

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
)

// Heal heals what an etcdlab that was killed left, the latest fault first. It
// does not wait for the members to serve.
func Heal(ctx context.Context, l *lab.Lab, progress func(format string, args ...any)) error {
	all, err := List(l)
	if err != nil {
		return err
	}
	c, err := connect(ctx, l)
	if err != nil {
		return err
	}
	defer c.close()
	var errs []error
	for _, u := range all {
		progress("healing %s of %s", u.Fault, strings.Join(u.Targets, ","))
		if err := c.heal(ctx, u); err != nil {
			errs = append(errs, fmt.Errorf("heal %s of %s: %w", u.Fault, strings.Join(u.Targets, ","), err))
		}
	}
	return errors.Join(errs...)
}

func (c *cluster) heal(ctx context.Context, u Unhealed) error {
	f, err := fault.Make(u.Fault, u.With)
	if err != nil {
		return err
	}
	var targets []lab.Member
	for _, name := range u.Targets {
		for _, m := range c.lab.Members {
			if m.Name() == name {
				targets = append(targets, m)
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.slow(healWithin))
	defer cancel()
	s := &fault.Scene{Seed: u.Seed, Lab: c.lab.Name, Slow: c.lab.Slow, Members: c.lab.Members, Cluster: c, Record: func(history.Event) {}}
	if err := f.Heal(ctx, s, targets); err != nil {
		return err
	}
	return remove(u.file)
}

// Forget removes the records of a lab's faults, of one that was put back to what
// it should be by other means.
func Forget(l *lab.Lab) error {
	all, err := List(l)
	for _, u := range all {
		err = errors.Join(err, remove(u.file))
	}
	return err
}

// whole says what keeps a lab from a run.
func whole(l *lab.Lab) error {
	if l.Partial != "" {
		return fmt.Errorf("lab %s is not whole: %s; `etcdlab up` completes it, `etcdlab down %s` removes it", l.Name, l.Partial, l.Name)
	}
	left, err := List(l)
	if err == nil && len(left) > 0 {
		u := left[0]
		err = lab.Misuse("lab %s still has %s of %s, begun %v ago by a run that did not end (%s); `etcdlab heal %s` heals it",
			l.Name, u.Fault, strings.Join(u.Targets, ","), u.Age().Round(time.Second), u.RunDir, l.Name)
	}
	return err
}
