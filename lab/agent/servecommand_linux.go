package agent

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
)

// EnvReady names the descriptor on which a starting agent says "ok", or what
// is wrong, in one line.
const EnvReady = "ETCDLAB_READY_FD"

// ServeCommand is a hidden command that serves a member: `--dir DIR`. serve does it,
// and calls ready once it answers.
func ServeCommand(ctx context.Context, name string, args []string, serve func(ctx context.Context, dir string, ready func(error)) error) error {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	dir := flags.String("dir", "", "the member's directory")
	if err := flags.Parse(args); err != nil || *dir == "" || flags.NArg() > 0 {
		return errors.New("usage: etcdlab " + name + " --dir DIR (it is started by etcdlab up)")
	}
	ready := readyPipe()
	err := serve(ctx, *dir, ready)
	if err != nil {
		ready(err) // does nothing once it was ready
	}
	return err
}

// Begin makes this process an agent: with a log, spared where it can be, and told
// by signals to end.
func Begin(ctx context.Context) (context.Context, context.CancelFunc, *slog.Logger) {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	slog.SetDefault(log)
	// Losing the disk server to the OOM killer would look like a power loss.
	// Not being allowed to is no reason to fail.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-900"), 0)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	return ctx, stop, log
}

// readyPipe is how the one that started this process learns that it is ready.
func readyPipe() func(error) {
	var fd uintptr
	if _, err := fmt.Sscan(os.Getenv(EnvReady), &fd); err != nil {
		return func(error) {}
	}
	_ = os.Unsetenv(EnvReady)
	syscall.CloseOnExec(int(fd))
	pipe := os.NewFile(fd, "ready")
	var once sync.Once
	return func(err error) {
		once.Do(func() {
			word := "ok"
			if err != nil {
				// The serial console's tail has lines; the pipe has one.
				word = strings.ReplaceAll(err.Error(), "\n", lineBreak)
			}
			fmt.Fprintln(pipe, word)
			pipe.Close()
		})
	}
}

// lineBreak stands for one on the way from an agent to who started it.
const lineBreak = "\v"
