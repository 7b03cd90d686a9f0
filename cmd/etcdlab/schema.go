package main

import (
	"encoding/json"
	"errors"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash"
)

func newSchema() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "schema lab|scenario",
		Short:   "Print the JSON schema of lab or scenario files, for editors",
		Example: "  etcdlab schema scenario > scenario.schema.json\n  # and at the top of a file: # yaml-language-server: $schema=scenario.schema.json",
		Args:    cobra.ExactArgs(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[0] != "lab" && args[0] != "scenario" {
			return withCode(codeUsage, errors.New("there are schemas of lab and scenario files: etcdlab schema lab, or etcdlab schema scenario"))
		}
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", "  ")
		return e.Encode(crash.Schema(args[0] == "lab"))
	}
	return cmd
}
