package images

import (
	"os/exec"
	"runtime"
	"syscall"
)

// runGroup runs the command in a process group of its own, which dies as a
// whole when the command's context ends. The command itself also dies when this
// process is killed. Linux sends that signal when the parent *thread* ends, so
// the thread is held until the command is done.
func runGroup(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd.Run()
}
