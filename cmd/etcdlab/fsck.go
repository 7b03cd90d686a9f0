package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash/verify"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
	"github.com/etcdlab/etcdlab/crash/verify/fsck"
)

func newFsck() *cobra.Command {
	var against []string
	cmd := &cobra.Command{
		Use:   "fsck DIR [--against DIR2...]",
		Short: "Check a data directory of etcd v3.4 to v3.8, reading only",
		Long: `Check a data directory of etcd v3.4 to v3.8: every page of the db, its records
against one another and against the log, the log's records and the snapshot files;
with --against also against those of other members. Nothing is written, and no
etcd may run in DIR meanwhile.

Exit codes: 0 whole, 1 damaged, 2 wrong use, 4 nothing wrong was found but not all
could be checked, 5 it could not be read.`,
	}
	cmd.Flags().StringArrayVar(&against, "against", nil, "data directory of another member of the same cluster; more may follow")
	cmd.Args = func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return fmt.Errorf("name the data directory to check: etcdlab fsck DIR")
		case len(args) > 1 && len(against) == 0:
			return fmt.Errorf("fsck checks one directory, and %q is a second one; other members' go behind --against", args[1])
		}
		return nil
	}
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		r, err := fsck.Check(cmd.Context(), fsck.Options{
			Dir: args[0], Against: append(against, args[1:]...), Exe: []string{exe, "inspect-data"},
		})
		if is[*fsck.UsageError](err) {
			return withCode(codeUsage, err)
		}
		if err != nil {
			return withCode(codeInternal, fmt.Errorf("fsck %s: %w", args[0], err))
		}
		if o.json() {
			if err := o.object(r); err != nil {
				return err
			}
		} else {
			fsckText(o.out, r)
		}
		return verdictError(verify.Result(r.Verdict))
	}
	return cmd
}

// fsckText prints a result for people.
func fsckText(w io.Writer, r *fsck.Result) {
	f := &r.Facts
	for _, p := range r.Problems {
		fmt.Fprintln(w, "damage:", fsckPlace(&p)+p.Message)
	}
	list := func(label string, lines []string) {
		for _, l := range lines {
			fmt.Fprintln(w, label, l)
		}
	}
	list("unsure:", r.Doubts)
	list("note:  ", r.Notes)
	list("still: ", r.Recoverable)
	var parts []string
	if f.Revision > 0 {
		parts = append(parts, fmt.Sprintf("revision %d (compacted %d), %d records, entry %d applied", f.Revision, f.Compacted, f.Records, f.ConsistentIndex))
	}
	parts = append(parts, fmt.Sprintf("log %d to %d in %d segments", f.WALFirst, f.WALLast, f.Segments), fmt.Sprintf("%d snapshots", f.Snapshots))
	if f.DBSize > 0 {
		parts = append(parts, fmt.Sprintf("db %s, %s in use", humanize.IBytes(uint64(f.DBSize)), humanize.IBytes(uint64(f.LiveBytes))))
	}
	if f.Matched > 0 {
		parts = append(parts, fmt.Sprintf("%d revisions from %d on compared with the log", f.Matched, f.MatchedFrom))
	}
	verdict := map[string]string{fsck.Pass: "whole", fsck.Fail: fmt.Sprintf("DAMAGED in %d places", len(r.Problems)), fsck.Inconclusive: "nothing wrong found, not all could be checked"}[r.Verdict]
	if r.Verdict == fsck.Fail && len(r.Problems) == 1 {
		verdict = "DAMAGED in 1 place"
	}
	fmt.Fprintf(w, "%s: %s; %s\n", r.Dir, verdict, strings.Join(parts, "; "))
}

// fsckPlace is file, page and byte, unless the message begins with the file.
func fsckPlace(p *datadir.Problem) string {
	if p.File == "" || strings.HasPrefix(p.Message, p.File) {
		return ""
	}
	s := p.File
	if p.Page != nil {
		s += fmt.Sprintf(", page %d", *p.Page)
	}
	if p.Offset != nil {
		s += fmt.Sprintf(", byte %d", *p.Offset)
	}
	return s + ": "
}
