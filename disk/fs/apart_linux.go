package fs

import (
	"context"
	"os"
	"os/exec"
	"syscall"
)

const shell = "/bin/sh"

// withoutLoops unmounts what is mounted from loop devices, and runs its
// arguments. proc(5) writes blanks and backslashes in octal, as printf reads them.
const withoutLoops = `
mounts=$(cat /proc/self/mounts) || exit
while read -r device dir rest; do
	case $device in
	/dev/loop*) umount -l "$(printf %b "$dir")" || exit ;;
	esac
done <<END
$mounts
END
exec "$@"`

// apart is the command that makes a file system. mkfs.btrfs looks at the file
// behind every loop device that anything is mounted from, and gives up if it
// cannot: one lab whose disk server was killed would keep all others from being
// made. So it runs in a mount namespace of its own without those mounts, in which
// they are looked for, as others come and go outside.
func apart(ctx context.Context, name, tool string, args []string) *exec.Cmd {
	_, err := os.Stat(shell)
	// A container or a guest without a shell has no mounts but its member's.
	if name != "btrfs" || os.Geteuid() != 0 || err != nil {
		return exec.CommandContext(ctx, tool, args...)
	}
	cmd := exec.CommandContext(ctx, shell, append([]string{"-c", withoutLoops, "sh", tool}, args...)...)
	// Nothing of it spreads: package syscall makes every mount private first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return cmd
}
