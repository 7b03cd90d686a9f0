package datadir

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"
)

// Exit codes of the child. The Go runtime itself ends a crashed process with 2.
const (
	exitRead  = 5
	exitUsage = 64
)

// ChildMain is the child process: it reads the data directory that args name
// and streams what it finds to stdout. It gives the process's exit code.
func ChildMain(args []string, stdout, stderr io.Writer) int {
	var q Query
	set := flag.NewFlagSet("inspect-data", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&q.Prefix, "prefix", "", "of the run's keys")
	set.StringVar(&q.RunID, "run", "", "the run's id")
	set.BoolVar(&q.OnlyDB, "only-db", false, "leave the log, the snapshots and the stream of revisions out")
	set.Int64Var(&q.HashRevision, "hash-revision", 0, "compute HashKV up to this revision")
	if err := set.Parse(args); err != nil || set.NArg() != 1 {
		fmt.Fprintln(stderr, "usage: inspect-data [flags] DIR; verify starts it")
		return exitUsage
	}
	q.Dir = set.Arg(0)
	debug.SetGCPercent(400) // short-lived and small: time matters more
	if err := inspect(&q, stdout); err != nil {
		fmt.Fprintln(stderr, "inspect-data:", err)
		return exitRead
	}
	return 0
}

// CrashError says that reading the directory took the child down: one of its
// files is corrupt in a way that bbolt does not expect.
type CrashError struct{ Message string }

func (e *CrashError) Error() string { return "reading it ended the process: " + e.Message }

// Inspect reads a data directory in a child process, started as exe followed by
// ChildMain's arguments; with no exe it reads in this process, which a corrupt
// db may end. The error is *CrashError when a corrupt file ended the child; what
// was read until then is returned with it, without a report.
func Inspect(ctx context.Context, exe []string, q Query) (*Store, error) {
	if len(exe) == 0 {
		return inspectHere(&q)
	}
	args := append(exe[1:len(exe):len(exe)], "-prefix", q.Prefix, "-run", q.RunID, "-hash-revision", fmt.Sprint(q.HashRevision), "-only-db="+fmt.Sprint(q.OnlyDB), "--", q.Dir)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe[0], args...)
	var stderr tail
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the reader of %s: %w", q.Dir, err)
	}
	store, err := decode(out)
	if err != nil && !errors.Is(err, errNoReport) {
		cancel() // it would wait for its stream to be read
	}
	// Of what it still has to say after its report nothing is read, and it must
	// not wait for that either.
	_, _ = io.Copy(io.Discard, out)
	if waited := cmd.Wait(); waited != nil && ctx.Err() == nil {
		return store, childError(waited, stderr.String())
	}
	return store, errors.Join(ctx.Err(), err)
}

func inspectHere(q *Query) (*Store, error) {
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := inspect(q, pw)
		_ = pw.CloseWithError(err)
		done <- err
	}()
	store, err := decode(pr)
	_ = pr.CloseWithError(err)
	if failed := <-done; failed != nil {
		return store, failed
	}
	return store, err
}

var accidental = regexp.MustCompile(`0x[0-9a-f]{6,}|[0-9]{10,}`)

// steady takes addresses out of a message, and what was read at a wrong one:
// the verdict on a directory is the same bytes again.
func steady(message string) string { return accidental.ReplaceAllString(message, "...") }

// childError tells a corrupt file from a child that could not do its work.
func childError(err error, stderr string) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("read the data directory: %w", err)
	}
	status, _ := exit.Sys().(syscall.WaitStatus)
	fault := status.Signaled() && (status.Signal() == syscall.SIGBUS || status.Signal() == syscall.SIGSEGV)
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		switch {
		case strings.Contains(line, "out of memory"):
			return fmt.Errorf("read the data directory: %s", line)
		case strings.HasPrefix(line, "unexpected fault address"), strings.HasPrefix(line, "fatal error: fault"), strings.Contains(line, "[signal SIG"):
			fault = true
		case strings.HasPrefix(line, "panic: "), strings.HasPrefix(line, "fatal error: "):
			if !fault {
				return &CrashError{Message: steady(line)}
			}
		}
	}
	if fault {
		return &CrashError{Message: "a fault in the mapped file (SIGBUS or SIGSEGV)"}
	}
	return fmt.Errorf("read the data directory: %w: %s", err, strings.TrimSpace(stderr))
}

// tail keeps the first lines that a child says, and no more than one would read.
type tail struct{ bytes.Buffer }

func (t *tail) Write(b []byte) (int, error) {
	if room := 64<<10 - t.Len(); room > 0 {
		t.Buffer.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

var _ io.Writer = (*tail)(nil)

// Exists says whether there is something to inspect.
func Exists(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir()
}
