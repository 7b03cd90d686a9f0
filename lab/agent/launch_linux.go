package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/etcdlab/etcdlab/internal/tail"
)

// Launch starts an agent in a session of its own: it outlives this command. argv
// runs it, without its flags; dir has its configuration. It returns when the
// agent answers.
func Launch(ctx context.Context, argv []string, dir, logFile string, limit time.Duration) error {
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start its agent: %w", err)
	}
	defer out.Close()
	ready, signal, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start its agent: %w", err)
	}
	defer ready.Close()
	defer signal.Close()
	cmd := exec.Command(argv[0], append(argv[1:len(argv):len(argv)], "--dir", dir)...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, "/"
	cmd.ExtraFiles = []*os.File{signal}
	cmd.Env = append(os.Environ(), EnvReady+"="+strconv.Itoa(3))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start its agent: %w", err)
	}
	// Reaped here as long as we live, by init afterwards.
	go func() { _ = cmd.Wait() }()
	signal.Close()

	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = ready.SetReadDeadline(time.Now()) })()
	word, err := bufio.NewReader(ready).ReadString('\n')
	word = strings.ReplaceAll(strings.TrimSpace(word), lineBreak, "\n")
	switch {
	case word == "ok":
		return nil
	case word != "":
		return errors.New(word)
	case ctx.Err() != nil:
		return fmt.Errorf("start its agent: it is not ready after %v: %w; its log ends:\n%s", limit, ctx.Err(), tail.File(logFile))
	}
	return fmt.Errorf("start its agent: it ended (%v); its log ends:\n%s", err, tail.File(logFile))
}
