//go:build unix && !linux

package images

import (
	"os/exec"
	"syscall"
)

// runGroup runs the command in a process group of its own, which dies as a
// whole when the command's context ends.
func runGroup(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd.Run()
}
