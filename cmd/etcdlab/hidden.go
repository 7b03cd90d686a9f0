package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// newHidden are the roles and commands that people do not type: the agent
// beside each member, the reader of possibly corrupt files, the benchmarks.
func newHidden() []*cobra.Command {
	return []*cobra.Command{
		{
			Use: "agent", Short: "Serve one member", Hidden: true, DisableFlagParsing: true,
			RunE: func(cmd *cobra.Command, args []string) error { return agentMain(cmd.Context(), args) },
		},
		{
			Use: "vm-agent", Short: "Serve one virtual machine", Hidden: true, DisableFlagParsing: true,
			RunE: func(cmd *cobra.Command, args []string) error { return vmAgentMain(cmd.Context(), args) },
		},
		{
			Use: "inspect-data", Short: "Read a data directory for the judge", Hidden: true, DisableFlagParsing: true,
			RunE: func(_ *cobra.Command, args []string) error {
				if code := datadir.ChildMain(args, os.Stdout, os.Stderr); code != 0 {
					return quietError{codedError{code, errors.New("the data directory could not be read")}}
				}
				return nil
			},
		},
		newBench(),
	}
}
