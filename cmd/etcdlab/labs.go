package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/lab"
)

func newLs() *cobra.Command {
	cmd := &cobra.Command{Use: "ls", Short: "List the labs of this machine", Args: cobra.NoArgs}
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		views := []labView{}
		for _, p := range providersFor(o) {
			labs, err := p.List(cmd.Context())
			if err != nil {
				return fmt.Errorf("list the labs of provider %s: %w", p.Name(), err)
			}
			for _, l := range labs {
				views = append(views, view(cmd.Context(), l))
			}
		}
		if o.json() {
			return o.object(struct {
				Labs []labView `json:"labs"`
			}{views})
		}
		if len(views) == 0 {
			o.progress("no labs; `etcdlab up` makes one")
			return nil
		}
		w := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tPROVIDER\tETCD\tMEMBERS\tRUNNING")
		for _, v := range views {
			running := 0
			for _, m := range v.Members {
				if m.State == lab.StateRunning {
					running++
				}
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\n", v.Name, v.Provider, v.Etcd, len(v.Members), running)
		}
		return w.Flush()
	}
	return cmd
}

func newInspect() *cobra.Command {
	cmd := &cobra.Command{Use: "inspect NAME", Short: "Show a lab and its members", Args: cobra.ExactArgs(1)}
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		l, err := open(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return show(cmd.Context(), l, o)
	}
	return cmd
}

func newDown() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "down [NAME]",
		Short: "Remove every trace of a lab; nothing to remove is success",
		Args:  cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVar(&all, "all", false, "every lab of this machine")
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if all == (len(args) == 1) {
			return withCode(codeUsage, errors.New("name the lab, or say --all"))
		}
		names, errs := args, []error(nil)
		every := providersFor(o)
		if all {
			for _, p := range every {
				labs, err := p.List(cmd.Context())
				errs = append(errs, err)
				for _, l := range labs {
					names = append(names, l.Name)
				}
			}
		}
		for _, name := range names {
			leaves(name)
			var failed error
			for _, p := range every {
				if err := p.Down(cmd.Context(), name); err != nil {
					failed = errors.Join(failed, fmt.Errorf("down %s: %w", name, err))
				}
			}
			errs = append(errs, failed)
			if failed == nil {
				o.progress("lab %s is down", name)
			}
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
		if o.json() {
			return o.object(struct {
				Down []string `json:"down"`
			}{append([]string{}, names...)})
		}
		return nil
	}
	return cmd
}
