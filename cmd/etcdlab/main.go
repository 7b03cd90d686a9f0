// Command etcdlab provisions labs of etcd members, breaks them, and proves from
// recorded evidence whether an acknowledged write was lost.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/lab/agent"
)

// version is set by the Makefile.
var version = "dev"

func main() {
	agent.Boot(context.Background())
	os.Exit(Main())
}

// Main runs the command line and gives the exit code.
func Main() int {
	ctx, stop := interruptible()
	defer stop()
	root := newRoot()
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "etcdlab: interrupted")
		for _, e := range besidesInterrupt(err) {
			fmt.Fprintln(os.Stderr, "etcdlab:", e)
		}
		return codeInterrupted
	}
	code := exitCode(err)
	if !errors.As(err, new(quietError)) {
		fmt.Fprintln(os.Stderr, "etcdlab:", err)
		if code == codeEnvironment && notRoot(err) {
			fmt.Fprintln(os.Stderr, "Labs of processes are root's: run etcdlab as root, or use --provider docker or vm.")
		}
		if code == codeUsage {
			fmt.Fprintf(os.Stderr, "Run `%s --help` for usage.\n", cmd.CommandPath())
		}
	}
	return code
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "etcdlab",
		Short:         "A lab of real etcd members, and proof of what a crash does to them",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       toolVersion(),
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return withCode(codeUsage, err) })
	root.AddCommand(
		newUp(), newLs(), newInspect(), newLogs(), newExec(), newConsole(), newDown(),
		newCrash(), newVerify(), newHistory(), newFsck(), newRun(), newHunt(), newScenarios(), newBugs(), newFaults(), newHeal(), newSchema(), newTraffic(),
		newFailpoints(), newDisk(), newImages(), newDoctor(),
	)
	root.AddCommand(newHidden()...)
	root.SuggestionsMinimumDistance = 2
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	root.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		err := fmt.Errorf("unknown command %q", args[0])
		if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
			err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(like, " or "))
		}
		return err
	}
	usageErrors(root)
	return root
}

// usageErrors makes a wrong number of arguments exit 2 everywhere.
func usageErrors(c *cobra.Command) {
	if args := c.Args; args != nil {
		c.Args = func(cmd *cobra.Command, a []string) error { return withCode(codeUsage, args(cmd, a)) }
	}
	for _, sub := range c.Commands() {
		usageErrors(sub)
	}
}

func toolVersion() string {
	if version != "dev" {
		return version
	}
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				return "dev-" + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return version
}
