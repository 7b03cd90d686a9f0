package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/crash/verify"
)

// judgeWithin bounds the judging of a leg.
const judgeWithin = time.Hour

// judgeApart has a run judged by a process of its own, which gives way to the
// load beside it: its memory is gone with it, and if it breaks the series goes on.
func judgeApart(ctx context.Context, dir string) (*verify.Verdict, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, judgeWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, "verify", dir, "-o", "json")
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the judge: %w", err)
	}
	// Where it is not allowed the judge takes its share.
	_ = unix.Setpriority(unix.PRIO_PROCESS, cmd.Process.Pid, 10)
	err = cmd.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	v := new(verify.Verdict)
	if json.Unmarshal(out.Bytes(), v) == nil && v.Verdict != "" {
		return v, nil
	}
	return nil, errors.Join(err, errors.New(lastLine(log.String())))
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
