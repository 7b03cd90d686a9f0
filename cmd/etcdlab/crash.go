package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/fault"
)

func newCrash() *cobra.Command {
	var (
		flags  crashFlags
		name   string
		verify bool
	)
	cmd := &cobra.Command{
		Use:   "crash NAME --fault FAULT",
		Short: "Put a lab under load, break it, let it recover, and record all of it",
		Args:  cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&name, "fault", "", fmt.Sprintf("what to do: %v", fault.Names()))
	cmd.Flags().BoolVar(&verify, "verify", false, "judge the run at once")
	flags.add(cmd)
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if name == "" {
			return withCode(codeUsage, fmt.Errorf("say which fault with --fault: %v", fault.Names()))
		}
		opts := crash.Options{Fault: name, Progress: o.progress}
		if err := flags.over(cmd, &opts); err != nil {
			return withCode(codeUsage, err)
		}
		l, err := open(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if err := crash.CheckTarget(opts.Target, l.Names()); err != nil {
			return withCode(codeUsage, err)
		}
		leaves(l.Name)
		r, err := runLocked(cmd.Context(), l.Name, opts)
		if r == nil {
			return err
		}
		v := viewOf(r)
		err = errors.Join(err, cmd.Context().Err()) // also where all was done
		if err != nil || !verify {
			return errors.Join(err, showRun(o, v))
		}
		j, err := judge(cmd.Context(), r.Dir, o)
		if j == nil {
			return err
		}
		return tell(o, v.judged(j), j, err)
	}
	return cmd
}

// showRun says where the evidence is; the verdict is for `verify`.
func showRun(o *output, v runView) error {
	if o.json() {
		return o.object(v)
	}
	fmt.Fprintf(o.out, "%d operations, %d faults, seed %d\nevidence in %s\njudge it with: etcdlab verify %s\n", v.Operations, v.Faults, v.Seed, v.RunDir, v.RunDir)
	return nil
}
