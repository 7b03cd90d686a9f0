package images

import (
	"os/exec"
	"syscall"
)

func inRoot(cmd *exec.Cmd, root string) {
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Chroot: root}
}
