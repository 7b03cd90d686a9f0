package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash/history"
)

func newVerify() *cobra.Command {
	var runs string
	cmd := &cobra.Command{
		Use:   "verify NAME|RUNDIR|SERIESDIR",
		Short: "Judge a run from its directory alone; NAME is that lab's latest run",
		Args:  cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&runs, "run-dir", "runs", "directory of run directories, for NAME")
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir, err := findRun(args[0], runs)
		if long, ok := findSeries(args[0], runs, dir); ok {
			return verifySeries(cmd.Context(), long, o)
		}
		if err != nil {
			return withCode(codeUsage, err)
		}
		j, err := judge(cmd.Context(), dir, o)
		if j == nil {
			return err
		}
		return tell(o, runView{RunDir: dir}.judged(j), j, err)
	}
	return cmd
}

// findRun resolves a run directory, or a lab's name to its latest run.
func findRun(arg, runs string) (string, error) {
	if isRun(arg) {
		return filepath.Abs(arg)
	}
	if strings.ContainsRune(arg, filepath.Separator) {
		return "", fmt.Errorf("%s is not a run directory: it has no %s", arg, history.FileRun)
	}
	entries, err := os.ReadDir(runs)
	if err != nil && !os.IsNotExist(err) {
		return "", err
	}
	latest, start := "", ""
	for _, e := range entries {
		dir := filepath.Join(runs, e.Name())
		r, err := history.ReadRun(dir)
		if err != nil || r.Lab != arg {
			continue
		}
		if r.Wall > start {
			latest, start = dir, r.Wall
		}
	}
	if latest == "" {
		return "", fmt.Errorf("no run of lab %q in %s; name a run directory, or say where runs are with --run-dir", arg, runs)
	}
	return filepath.Abs(latest)
}

func isRun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, history.FileRun))
	return err == nil
}
