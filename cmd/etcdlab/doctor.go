package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/lab/doctor"
)

func newDoctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine has for labs, what is missing, and how to get it",
		Args:  cobra.NoArgs,
	}
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		checks := doctor.Run(cmd.Context())
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		if o.json() {
			return o.object(struct {
				Checks []doctor.Check `json:"checks"`
			}{slices.Clone(checks)})
		}
		doctor.Table(o.out, checks)
		return nil
	}
	return cmd
}
