package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

func newUp() *cobra.Command {
	var flags labFlags
	cmd := &cobra.Command{
		Use:   "up [NAME]",
		Short: "Make a lab, or bring an existing one back to what it should be",
		Args:  cobra.MaximumNArgs(1),
	}
	flags.add(cmd)
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := existing(cmd, argument(args, 0))
		if err != nil {
			return err
		}
		if s == nil {
			if s, err = flags.spec(argument(args, 0), nil); err != nil {
				return err
			}
		}
		l, err := up(cmd.Context(), s, o)
		if err != nil {
			return err
		}
		return show(cmd.Context(), l, o)
	}
	return cmd
}

// existing is the spec of the lab of that name where nothing but the name was
// said: to bring a lab back, one need not say again what it is. nil is that
// there is none, or that more was said.
func existing(cmd *cobra.Command, name string) (*spec.Lab, error) {
	said := false
	cmd.Flags().Visit(func(f *pflag.Flag) { said = said || f.Name != "output" })
	if name == "" || said || lab.CheckName("lab", name) != nil {
		return nil, nil
	}
	l, err := open(cmd.Context(), name)
	if err != nil {
		return nil, nil // up says what is wrong, and removes what is left
	}
	return l.Spec, nil
}

// up chooses the provider, builds what is missing and makes the lab.
func up(ctx context.Context, s *spec.Lab, o *output) (*lab.Lab, error) {
	p, err := provider(ctx, s, o)
	if err != nil {
		return nil, err
	}
	if err := elsewhere(ctx, s); err != nil {
		return nil, err
	}
	leaves(s.Name)
	built, err := build(ctx, s, p, o)
	if err != nil {
		return nil, err
	}
	o.progress("starting lab %s: %d members of etcd %s on provider %s", s.Name, len(s.Members), built[s.Members[0].Name].Version, p.Name())
	if err := healed(ctx, s.Name, o); err != nil {
		return nil, err
	}
	l, err := p.Up(ctx, s, built)
	if err != nil {
		return nil, err
	}
	if err := crash.Forget(l); err != nil {
		return nil, err
	}
	o.progress("lab %s serves", s.Name)
	return l, nil
}

func argument(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

// labView is the JSON form of a lab.
type labView struct {
	Name     string     `json:"name"`
	Provider string     `json:"provider"`
	Etcd     string     `json:"etcd"`
	Disk     spec.Disk  `json:"disk"`
	Dir      string     `json:"dir"`
	Members  []lab.Info `json:"members"`
}

func view(ctx context.Context, l *lab.Lab) labView {
	v := labView{Name: l.Name, Provider: l.Provider, Dir: l.Dir, Members: []lab.Info{}}
	if l.Spec != nil {
		v.Disk = l.Spec.Disk
	}
	for _, m := range l.Members {
		i, err := m.Info(ctx)
		if err != nil {
			i = lab.Info{Name: m.Name(), State: lab.StateLost, Exit: err.Error()}
		}
		if v.Etcd == "" {
			v.Etcd = i.Version
		}
		v.Members = append(v.Members, i)
	}
	return v
}

func show(ctx context.Context, l *lab.Lab, o *output) error {
	v := view(ctx, l)
	if o.json() {
		return o.object(v)
	}
	fmt.Fprintf(o.out, "lab %s: etcd %s, provider %s, disk %s %s\n", v.Name, v.Etcd, v.Provider, v.Disk.Kind, v.Disk.FS)
	w := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MEMBER\tSTATE\tPID\tCLIENT\tFAILPOINTS\tDATA")
	for _, m := range v.Members {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", m.Name, m.State, m.PID, m.ClientURL, m.FailpointURL, m.DataDir)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, m := range v.Members {
		if m.Exit != "" {
			fmt.Fprintf(o.out, "%s ended: %s\n", m.Name, m.Exit)
		}
	}
	return nil
}
