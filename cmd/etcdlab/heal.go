package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash"
)

func newHeal() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "heal NAME",
		Short: "Heal the faults that a run which was killed left on a lab",
		Long: "Heal the faults that a run which was killed left on a lab, the latest first, and bring every\n" +
			"member back to what its spec says: powered, linked, with its own settings, and serving.",
		Args: cobra.ExactArgs(1),
	}
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		l, err := open(ctx, args[0])
		if err != nil {
			return err
		}
		found, err := crash.List(l)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return withCode(codeUsage, fmt.Errorf("heal lab %s: no fault is under way on it: it was healed already, or none was begun; `etcdlab up %s` brings members back that do not serve", l.Name, l.Name))
		}
		// up heals, and brings back what a heal could not for what became of the
		// lab since.
		if _, err := up(ctx, l.Spec, o); err != nil {
			return err
		}
		if o.json() {
			return o.object(struct {
				Lab    string           `json:"lab"`
				Healed []crash.Unhealed `json:"healed"`
			}{l.Name, found})
		}
		for _, u := range found {
			fmt.Fprintf(o.out, "healed %s of %s\n", u.Fault, strings.Join(u.Targets, ","))
		}
		return nil
	}
	return cmd
}

// healed heals the faults that a killed run left on a lab, if it is there and
// there are any. What cannot be healed is said; up is to bring it back.
func healed(ctx context.Context, name string, o *output) error {
	l, err := open(ctx, name)
	if err != nil {
		return nil // there is no such lab yet, or up will say what is wrong with it
	}
	if found, err := crash.List(l); err != nil || len(found) == 0 {
		return err
	}
	unlock, err := exclusive(ctx, name, o.progress)
	if err != nil {
		return err
	}
	defer unlock()
	if err := crash.Heal(ctx, l, o.progress); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		o.progress("%v; bringing the lab back all the same", err)
	}
	return nil
}
