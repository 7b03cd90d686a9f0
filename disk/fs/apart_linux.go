package fs

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

const shell = "/bin/sh"

// apart is the command that makes a file system. mkfs.btrfs looks at the file
// behind every loop device that anything is mounted from, and gives up if it
// cannot: one lab whose disk server was killed would keep all others from being
// made. So it runs in a mount namespace of its own without those mounts.
func apart(ctx context.Context, name, tool string, args []string) *exec.Cmd {
	mounts := loopMounts()
	_, err := os.Stat(shell)
	// A container or a guest without a shell has no mounts but its member's.
	if name != "btrfs" || len(mounts) == 0 || os.Geteuid() != 0 || err != nil {
		return exec.CommandContext(ctx, tool, args...)
	}
	const script = `n=$1; shift; while [ $n -gt 0 ]; do umount -l "$1" || exit; shift; n=$((n-1)); done; exec "$@"`
	line := append([]string{"-c", script, "sh", strconv.Itoa(len(mounts))}, mounts...)
	cmd := exec.CommandContext(ctx, shell, append(append(line, tool), args...)...)
	// Nothing of it spreads: package syscall makes every mount private first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return cmd
}

// loopMounts lists where file systems are mounted from loop devices.
func loopMounts() []string {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil
	}
	var dirs []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[0], "/dev/loop") {
			dirs = append(dirs, unescape.Replace(f[1]))
		}
	}
	return dirs
}

// unescape undoes what proc(5) does to the characters that separate fields.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
