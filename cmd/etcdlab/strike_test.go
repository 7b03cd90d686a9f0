package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var strikes = map[string]syscall.Signal{"INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "HUP": syscall.SIGHUP}

// strike runs a command and sends signals when its stderr shows lines, the next
// line being waited for after the last signal was sent:
//
//	strike CODE SIGNAL[@PROCESS]:REGEXP... -- COMMAND [ARG...]
//
// The signal goes to the command's process group, as from a terminal, or to the
// process that has PROCESS in its command line. CODE is the exit code, or several
// with | between them, "killed" after a SIGKILL. What it printed is in the files
// out and err.
func strike(ts *testscript.TestScript, neg bool, args []string) {
	at := slices.Index(args, "--")
	if neg || at < 2 || at+1 >= len(args) {
		ts.Fatalf("usage: strike CODE SIGNAL[@PROCESS]:REGEXP... -- COMMAND [ARG...]")
	}
	plans, command := args[1:at], args[at+1:]
	cmd := exec.Command(lookUp(ts, command[0]), command[1:]...)
	cmd.Dir, cmd.SysProcAttr = ts.MkAbs("."), &syscall.SysProcAttr{Setpgid: true}
	for _, name := range []string{"PATH", "HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "GOFLAGS"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	var out, log bytes.Buffer
	cmd.Stdout = &out
	pipe, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	hang := time.AfterFunc(5*time.Minute, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer hang.Stop()
	for lines := bufio.NewScanner(io.TeeReader(pipe, &log)); lines.Scan(); {
		if len(plans) == 0 {
			continue
		}
		what, when, _ := strings.Cut(plans[0], ":")
		if !regexp.MustCompile(when).MatchString(lines.Text()) {
			continue
		}
		name, process, other := strings.Cut(what, "@")
		pid := -cmd.Process.Pid
		if other {
			pid = processOf(ts, process)
		}
		_ = syscall.Kill(pid, strikes[name]) // it may just have ended
		plans = plans[1:]
	}
	err = cmd.Wait()
	ts.Check(os.WriteFile(ts.MkAbs("out"), out.Bytes(), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs("err"), log.Bytes(), 0o644))
	ts.Logf("[stderr]\n%s", log.String())
	if len(plans) > 0 {
		ts.Fatalf("it never said %s", plans[0])
	}
	got := strconv.Itoa(cmd.ProcessState.ExitCode())
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		got = status.Signal().String()
	}
	if !slices.Contains(strings.Split(args[0], "|"), got) {
		ts.Fatalf("exit code %s (%v), want %s", got, err, args[0])
	}
}

// lookUp finds a program in the script's PATH.
func lookUp(ts *testscript.TestScript, name string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
			return path
		}
	}
	ts.Fatalf("no %s in PATH", name)
	return ""
}

// processOf gives a process that has the text in its command line.
func processOf(ts *testscript.TestScript, text string) int {
	// It may be between two lives: the command kills it, too.
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
		ts.Check(err)
		for _, file := range procs {
			line, err := os.ReadFile(file)
			if err != nil || !strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), text) {
				continue
			}
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			ts.Check(err)
			return pid
		}
	}
	ts.Fatalf("no process has %q in its command line", text)
	return 0
}
