package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/etcdlab/etcdlab/internal/netns"
	"github.com/etcdlab/etcdlab/lab"
)

// Command is a command in a member's network, with its own etcdctl and etcdutl
// first in PATH and set up to speak to it.
type Command struct {
	Member    string
	NetNS     string // "" is the caller's own
	Tools     string // directory
	ClientURL string
	TLS       *lab.TLSFiles // of a client; nil without TLS
	Argv      []string

	In       io.Reader // may be nil
	Out, Err io.Writer

	// Group makes it lead a process group, all of which ends with ctx. One that
	// may read from the caller's terminal must not.
	Group bool
}

// Run gives the exit status as a shell does; the error says why the command
// could not run.
func (c *Command) Run(ctx context.Context) (exit int, err error) {
	if len(c.Argv) == 0 {
		return 0, lab.Misuse("exec: no command was given")
	}
	program, err := lookIn(c.Tools, c.Argv[0])
	if err != nil {
		return 0, lab.Misuse("exec in %s: %w", c.Member, err)
	}
	cmd := exec.CommandContext(ctx, program, c.Argv[1:]...)
	cmd.Args[0] = c.Argv[0]
	cmd.Stdout, cmd.Stderr = c.Out, c.Err
	cmd.Env = append(os.Environ(), "PATH="+c.Tools+":"+os.Getenv("PATH"), "ETCDCTL_ENDPOINTS="+c.ClientURL)
	if c.TLS != nil {
		cmd.Env = append(cmd.Env, "ETCDCTL_CACERT="+c.TLS.CA, "ETCDCTL_CERT="+c.TLS.Cert, "ETCDCTL_KEY="+c.TLS.Key)
	}
	if c.Group {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	}
	// What a background child of the command keeps open is not waited for.
	cmd.WaitDelay = 2 * time.Second
	if err := c.feed(cmd); err != nil {
		return 0, fmt.Errorf("exec in %s: %w", c.Member, err)
	}
	if err := netns.Start(c.NetNS, cmd); err != nil {
		return 0, fmt.Errorf("exec in %s: %w", c.Member, err)
	}
	if c.Group {
		// The agent's protection from the OOM killer is not for it.
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", cmd.Process.Pid), []byte("0"), 0)
	}
	return c.exited(ctx, cmd.Wait())
}

// feed sets the command's standard input. A file is the command's own; what
// reads anything else is not waited for, as it may never end.
func (c *Command) feed(cmd *exec.Cmd) error {
	if f, ok := c.In.(*os.File); ok || c.In == nil {
		if ok {
			cmd.Stdin = f
		}
		return nil
	}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(pipe, c.In)
		_ = pipe.Close()
	}()
	return nil
}

func (c *Command) exited(ctx context.Context, err error) (int, error) {
	var failed *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, fmt.Errorf("exec in %s: %w", c.Member, ctx.Err())
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return 0, nil
	case errors.As(err, &failed):
		if status, ok := failed.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal()), nil // as a shell says it
		}
		return failed.ExitCode(), nil
	}
	return 0, fmt.Errorf("exec in %s: %w", c.Member, err)
}

// lookIn finds the program in dir first, then as the shell would.
func lookIn(dir, program string) (string, error) {
	if filepath.Base(program) == program {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, nil
		}
	}
	return exec.LookPath(program)
}

// Exec runs a command where etcd is. It ends with the agent, whose disk it may
// use.
func (a *Agent) Exec(ctx context.Context, argv []string, in io.Reader, out, errout io.Writer) (exit int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.life, cancel)()
	c := &Command{
		Member: a.cfg.Member, NetNS: a.cfg.NetNS, Tools: a.cfg.Tools, ClientURL: a.cfg.ClientURL, TLS: a.cfg.ClientTLS,
		Argv: argv, In: in, Out: out, Err: errout, Group: true,
	}
	exit, err = c.Run(ctx)
	var usage *lab.UsageError
	if errors.As(err, &usage) {
		err = invalid(err)
	}
	return exit, err
}

// Logs writes etcd's log.
func (a *Agent) Logs(ctx context.Context, w io.Writer, follow bool) error {
	return Follow(ctx, a.cfg.LogFile, w, follow)
}

// TrimLog empties etcd's log.
func (a *Agent) TrimLog(context.Context) error { return Trim(a.cfg.LogFile) }
