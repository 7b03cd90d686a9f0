package lab

import (
	"context"
	"errors"
	"fmt"

	"github.com/etcdlab/etcdlab/internal/each"
	"github.com/etcdlab/etcdlab/internal/undo"
)

// Clear removes what an interrupted up left of a lab.
func Clear(ctx context.Context, name string, say func(string, ...any), remove func(context.Context, string) error) error {
	say("removing what is left of an earlier lab %s", name)
	if err := remove(ctx, name); err != nil {
		return fmt.Errorf("remove what is left of an earlier lab %s: %w", name, err)
	}
	return nil
}

// TakeBack undoes what an up made before it failed with err, and gives the error
// to report.
func TakeBack(ctx context.Context, name string, made *undo.Stack, say func(string, ...any), err error) error {
	if ctx.Err() != nil {
		err = ctx.Err() // what it did to each step is of no interest
	}
	say("undoing what was made of lab %s", name)
	if failed := made.Unwind(ctx); failed != nil {
		err = errors.Join(err, fmt.Errorf("%w\nremove the rest with: etcdlab down %s", failed, name))
	}
	return err
}

// Mend brings the members of a lab that exists back, side by side.
func Mend(ctx context.Context, name string, members []string, mend func(i int) error) error {
	err := each.Do(len(members), func(i int) error {
		if err := mend(i); err != nil {
			return fmt.Errorf("bring member %s back: %w", members[i], err)
		}
		return nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%w\nif that cannot be helped: etcdlab down %s, and up makes the lab anew", err, name)
	}
	return nil
}
