package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/images"
)

func newScenarios() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scenarios [NAME]",
		Short: "List the built-in scenarios, or show one as the file it is",
		Args:  cobra.MaximumNArgs(1),
	}
	o := addOutput(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 1 {
			s, err := crash.FindScenario(args[0])
			if err != nil {
				return withCode(codeUsage, err)
			}
			_, err = o.out.Write(s.File)
			return err
		}
		if o.json() {
			var views []scenarioView
			for _, s := range crash.Scenarios() {
				views = append(views, viewScenario(s))
			}
			return o.object(struct {
				Scenarios []scenarioView `json:"scenarios"`
			}{views})
		}
		w := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
		for _, s := range crash.Scenarios() {
			fmt.Fprintf(w, "%s\t%s\n", s.Name, s.Doc)
		}
		return w.Flush()
	}
	return cmd
}

// scenarioView is the JSON form of a scenario in the list.
type scenarioView struct {
	Name    string            `json:"name"`
	Doc     string            `json:"doc"`
	Members int               `json:"members"`
	Etcd    string            `json:"etcd"`           // the version it is about
	Args    map[string]string `json:"args,omitempty"` // etcd flags
	Disk    string            `json:"disk,omitempty"` // the kind of disk it is about
}

func viewScenario(s crash.Scenario) scenarioView {
	v := scenarioView{Name: s.Name, Doc: s.Doc, Members: len(s.Lab.Members), Etcd: s.Lab.Etcd.Version, Args: s.Lab.Etcd.Args, Disk: s.Lab.Disk.Kind}
	if len(s.Lab.Members) == 0 {
		v.Members = 3
	}
	if v.Etcd == "" {
		v.Etcd = images.DefaultVersion
	}
	return v
}
