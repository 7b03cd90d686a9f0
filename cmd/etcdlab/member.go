package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/lab"
)

// find returns a member by name.
func find(l *lab.Lab, name string) (lab.Member, error) {
	var names []string
	for _, m := range l.Members {
		if m.Name() == name {
			return m, nil
		}
		names = append(names, m.Name())
	}
	return nil, withCode(codeUsage, fmt.Errorf("lab %s has no member %q; it has %s", l.Name, name, strings.Join(names, ", ")))
}

// lost says why a member's agent did not answer, where its provider knows, in
// place of what the connection to it made of that.
func lost(ctx context.Context, m lab.Member, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	i, unknown := m.Info(ctx)
	if unknown != nil || i.State != lab.StateLost || i.Exit == "" {
		return err
	}
	return fmt.Errorf("%s is lost: %s", m.Name(), i.Exit)
}

func newLogs() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs NAME [MEMBER]",
		Short: "Print what the members' etcds logged",
		Args:  cobra.RangeArgs(1, 2),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on printing as it comes")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		l, err := open(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		members := l.Members
		if len(args) == 2 {
			m, err := find(l, args[1])
			if err != nil {
				return err
			}
			members = []lab.Member{m}
		}
		return printLogs(cmd.Context(), cmd.OutOrStdout(), members, follow)
	}
	return cmd
}

// printLogs prints whole lines, with the member's name in front when there are
// several members.
func printLogs(ctx context.Context, w io.Writer, members []lab.Member, follow bool) error {
	var mu sync.Mutex
	print := func(m lab.Member) error {
		l, err := lab.Can[lab.Logger](m)
		if err != nil {
			return err
		}
		lines := &lineWriter{w: w, mu: &mu}
		if len(members) > 1 {
			lines.prefix = m.Name() + "  "
		}
		if err := l.Logs(ctx, lines, follow); err != nil && !errors.Is(err, syscall.EPIPE) {
			return lost(ctx, m, err) // a reader that goes away has seen enough
		}
		return nil
	}
	errs := make([]error, len(members))
	if !follow {
		for i, m := range members {
			errs[i] = print(m)
		}
		return errors.Join(errs...)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() {
			if errs[i] = print(m); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// lineWriter writes whole lines, one at a time among several writers.
type lineWriter struct {
	w      io.Writer
	mu     *sync.Mutex
	prefix string
	rest   []byte
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	end := bytes.LastIndexByte(l.rest, '\n') + 1
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.rest[:end]) {
		if _, err := l.w.Write(append([]byte(l.prefix), line...)); err != nil {
			return 0, err
		}
	}
	l.rest = append(l.rest[:0], l.rest[end:]...)
	return len(p), nil
}

func newConsole() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "console NAME MEMBER",
		Short: "Show the serial console of a member's virtual machine, and type into it",
		Long: "console prints what the machine has printed, over all of its boots. With -f it\n" +
			"goes on, and sends what is typed to the machine; Ctrl-C leaves.",
		Args: cobra.ExactArgs(2),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on, and send what is typed")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		l, err := open(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		m, err := find(l, args[1])
		if err != nil {
			return err
		}
		c, err := lab.Can[lab.Console](m)
		if err != nil {
			return err
		}
		var in io.Reader
		if follow {
			in = cmd.InOrStdin()
		}
		return lost(cmd.Context(), m, c.Console(cmd.Context(), in, cmd.OutOrStdout(), follow))
	}
	return cmd
}

func newExec() *cobra.Command {
	return &cobra.Command{
		Use:   "exec NAME MEMBER -- COMMAND [ARG...]",
		Short: "Run a command on a member's host, with etcdctl set up for it",
		Args:  cobra.MinimumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := open(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			m, err := find(l, args[1])
			if err != nil {
				return err
			}
			e, err := lab.Can[lab.Execer](m)
			if err != nil {
				return err
			}
			code, err := e.Exec(cmd.Context(), args[2:], cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
			if err != nil || code == 0 {
				return lost(cmd.Context(), m, err)
			}
			return quietError{codedError{code, errors.New("the command failed")}}
		},
	}
}
