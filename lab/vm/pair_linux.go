package vm

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// pair makes two connected sockets: ours, and a file for QEMU to inherit.
func pair(kind int, name string) (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a pair of sockets for %s: %w", name, err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name)
	conn, err := net.FileConn(ours) // a duplicate
	ours.Close()
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("make a pair of sockets for %s: %w", name, err)
	}
	return conn, theirs, nil
}
