package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash/transcript"
)

func newHistory() *cobra.Command {
	var (
		runs, format, revision string
		filter                 transcript.Filter
	)
	cmd := &cobra.Command{
		Use:   "history NAME|RUNDIR",
		Short: "Print what clients did, watchers were told and happened to members, by time",
		Long: `Print a run's history by time: operations at the time of their return, what
watchers were told, and what happened to members. NAME is that lab's latest run.

Filters are joined by "and". A history that ends early, because its writer was
killed or still writes, is printed as far as it goes, said on stderr, and exits 0;
one that is damaged is printed as far as it can be read and exits 5.`,
		Example: `  etcdlab history runs/demo-20261122-125011-f32350 --key k000007 --since 2s
  etcdlab history demo --unknown --member m2
  etcdlab history demo --format elle > history.edn`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	f.StringVar(&runs, "run-dir", "runs", "directory of run directories, for NAME")
	f.StringVar(&format, "format", "text", "text, jsonl, porcupine or elle")
	f.Int32SliceVar(&filter.Clients, "client", nil, "of these clients, by number")
	f.StringSliceVar(&filter.Members, "member", nil, "of these members")
	f.StringVar(&filter.Key, "key", "", "that touch a key with this begin")
	f.StringSliceVar(&filter.Kinds, "kind", nil, "of these kinds: put, range, delete, txn, compact, lease-grant, ..., events, progress, ..., killed, cut, ...")
	f.StringVar(&revision, "revision", "", "at these revisions: A..B, A.., ..B or A")
	f.DurationVar(&filter.Since, "since", 0, "from so long after the run's begin, such as 1.5s")
	f.DurationVar(&filter.Until, "until", 0, "until so long after the run's begin")
	f.BoolVar(&filter.Failed, "failed", false, "operations that were refused")
	f.BoolVar(&filter.Unknown, "unknown", false, "operations whose outcome the client did not learn")
	f.BoolVar(&filter.Ops, "ops", false, "operations")
	f.BoolVar(&filter.Watches, "watches", false, "what watchers were told")
	f.BoolVar(&filter.Events, "events", false, "what happened to members")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkHistory(cmd, format, revision, &filter); err != nil {
			return withCode(codeUsage, err)
		}
		dir, err := findRun(args[0], runs)
		if err != nil {
			return withCode(codeUsage, err)
		}
		notes, err := transcript.Write(cmd.OutOrStdout(), dir, transcript.Format(format), filter)
		for _, n := range notes {
			fmt.Fprintln(cmd.ErrOrStderr(), "etcdlab:", n)
		}
		if errors.Is(err, syscall.EPIPE) {
			return nil // who reads has seen enough
		}
		return err
	}
	return cmd
}

func checkHistory(cmd *cobra.Command, format, revision string, f *transcript.Filter) error {
	if !slices.Contains(transcript.Formats, transcript.Format(format)) {
		return fmt.Errorf("unknown format %q; the formats are %s", format, strings.Trim(fmt.Sprint(transcript.Formats), "[]"))
	}
	for _, k := range f.Kinds {
		if err := transcript.CheckKind(k); err != nil {
			return err
		}
	}
	if revision != "" {
		var err error
		if f.From, f.To, err = transcript.ParseRevisions(revision); err != nil {
			return fmt.Errorf("--revision: %w", err)
		}
	}
	if f.Since < 0 || f.Until < 0 || f.Until > 0 && f.Until < f.Since {
		return fmt.Errorf("--since %v --until %v: they are times after the run's begin, the first before the second", f.Since, f.Until)
	}
	if transcript.Format(format) != transcript.Elle {
		return nil
	}
	for _, name := range []string{"client", "member", "key", "kind", "revision", "since", "until", "failed", "unknown", "ops", "watches", "events"} {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s with --format elle: Elle needs every write of what was read; leave the filter out", name)
		}
	}
	return nil
}
