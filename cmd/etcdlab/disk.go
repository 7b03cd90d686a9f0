package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

func newDisk() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "disk NAME MEMBER",
		Short: "Show a member's fault disk",
		Args:  cobra.ExactArgs(2),
	}
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d, err := diskOf(cmd, args[0], args[1])
		if err != nil {
			return err
		}
		st, err := d.DiskStats(cmd.Context())
		if err != nil {
			return err
		}
		faults, err := d.DiskFaults(cmd.Context())
		if err != nil {
			return err
		}
		return o.object(struct {
			disk.Stats
			Faults []disk.FaultState `json:"faults"`
		}{st, append([]disk.FaultState{}, faults...)})
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "set NAME MEMBER profile=PROFILE",
		Short:   "Change what kind of disk it is, while the member serves",
		Example: "  etcdlab disk set demo m1 profile=lying-flush",
		Args:    cobra.ExactArgs(3),
		RunE:    setDisk,
	})
	// `disk NAME MEMBER set profile=X` reads more naturally and is in the docs.
	cmd.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 4 && args[2] == "set" {
			return nil
		}
		return cobra.ExactArgs(2)(c, args)
	}
	show := cmd.RunE
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 4 {
			return setDisk(c, []string{args[0], args[1], args[3]})
		}
		return show(c, args)
	}
	return cmd
}

func diskOf(cmd *cobra.Command, labName, member string) (lab.DiskFaulter, error) {
	l, err := open(cmd.Context(), labName)
	if err != nil {
		return nil, err
	}
	m, err := find(l, member)
	if err != nil {
		return nil, err
	}
	return lab.Can[lab.DiskFaulter](m)
}

func checkProfile(name string) error {
	if name != "" && !slices.Contains(disk.Profiles(), name) {
		return withCode(codeUsage, fmt.Errorf("unknown disk profile %q; the profiles are %s", name, strings.Join(disk.Profiles(), ", ")))
	}
	return nil
}

func setDisk(cmd *cobra.Command, args []string) error {
	name, value, ok := strings.Cut(args[2], "=")
	if !ok || value == "" || name != "profile" {
		return withCode(codeUsage, fmt.Errorf("cannot set %q; it is profile=PROFILE", args[2]))
	}
	if err := checkProfile(value); err != nil {
		return err
	}
	d, err := diskOf(cmd, args[0], args[1])
	if err != nil {
		return err
	}
	return d.SetDiskProfile(cmd.Context(), value)
}
