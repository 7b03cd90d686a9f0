package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/failpoint"
)

func newFailpoints() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "failpoints NAME [MEMBER]",
		Short: "List, set and clear the failpoints of a running lab",
		Args:  cobra.RangeArgs(1, 2),
	}
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return listFailpoints(cmd.Context(), o, args[0], argument(args, 1))
	}
	set := &cobra.Command{
		Use:     "set NAME MEMBER POINT TERMS",
		Short:   "Arm a failpoint, in gofail's terms",
		Example: `  etcdlab failpoints set demo m1 raftBeforeSave 'panic("x")'`,
		Args:    cobra.ExactArgs(4),
		RunE: func(cmd *cobra.Command, args []string) error {
			fp, err := memberFailpoints(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			return fp.Set(cmd.Context(), args[2], args[3])
		},
	}
	clear := &cobra.Command{
		Use:   "clear NAME MEMBER POINT",
		Short: "Disarm a failpoint",
		Args:  cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			fp, err := memberFailpoints(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			return fp.Clear(cmd.Context(), args[2])
		},
	}
	cmd.AddCommand(set, clear)
	return cmd
}

func memberFailpoints(ctx context.Context, labName, member string) (*failpoint.Client, error) {
	l, err := open(ctx, labName)
	if err != nil {
		return nil, err
	}
	m, err := find(l, member)
	if err != nil {
		return nil, err
	}
	return failpointsOf(ctx, m)
}

func failpointsOf(ctx context.Context, m lab.Member) (*failpoint.Client, error) {
	i, err := m.Info(ctx)
	if err != nil {
		return nil, err
	}
	if i.FailpointURL == "" {
		return nil, withCode(codeUsage, fmt.Errorf("%s has no failpoints: its etcd was built without them", m.Name()))
	}
	return failpoint.New(i.FailpointURL), nil
}

type failpointView struct {
	Member string `json:"member"`
	Name   string `json:"name"`
	Terms  string `json:"terms"`
}

func listFailpoints(ctx context.Context, o *output, labName, member string) error {
	l, err := open(ctx, labName)
	if err != nil {
		return err
	}
	members := l.Members
	if member != "" {
		m, err := find(l, member)
		if err != nil {
			return err
		}
		members = []lab.Member{m}
	}
	points := []failpointView{}
	for _, m := range members {
		fp, err := failpointsOf(ctx, m)
		if err != nil {
			return err
		}
		list, err := fp.List(ctx)
		if err != nil {
			return fmt.Errorf("failpoints of %s: %w", m.Name(), err)
		}
		for _, p := range list {
			points = append(points, failpointView{m.Name(), p.Name, p.Terms})
		}
	}
	if o.json() {
		return o.object(struct {
			Failpoints []failpointView `json:"failpoints"`
		}{points})
	}
	w := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MEMBER\tPOINT\tTERMS")
	for _, p := range points {
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.Member, p.Name, p.Terms)
	}
	return w.Flush()
}
