package wire

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// virtioHeader is the size of struct virtio_net_hdr: with it, the large
	// segments and unfinished checksums of a virtual link pass as they are.
	virtioHeader = 10
	maxFrame     = virtioHeader + 18 + 65535
	// backlogBytes is what a socket may have waiting for us.
	backlogBytes = 16 << 20
)

// tap is a link's frames: what comes in by it is read, and what is written goes
// out by it.
type tap struct{ file *os.File }

// openTap opens a link of this thread's namespace.
func openTap(index int, name string) (*tap, error) {
	// Of no protocol, so that nothing of other links comes before it is bound.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w (the kernel's af_packet and the capability NET_RAW are needed)", err)
	}
	err = errors.Join(
		option("PACKET_VNET_HDR", unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1)),
		option("PACKET_IGNORE_OUTGOING", unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)),
	)
	// More than the machine's limit needs NET_ADMIN; without it there is that.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, backlogBytes) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, backlogBytes)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: index})
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open a packet socket on %s: %w", name, err)
	}
	return &tap{os.NewFile(uintptr(fd), name)}, nil
}

func option(name string, err error) error {
	if err != nil {
		return fmt.Errorf("set %s: %w", name, err)
	}
	return nil
}

func htons(n uint16) uint16 { return n<<8 | n>>8 }

// each reads frames until the tap is closed. A link that is taken down, which is
// how a member loses its power, ends nothing.
func (t *tap) each(do func([]byte)) error {
	buffer := make([]byte, maxFrame)
	for {
		n, err := t.file.Read(buffer)
		switch {
		case err == nil && n > virtioHeader:
			do(buffer[:n])
		case err == nil, errors.Is(err, unix.ENETDOWN), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.EINTR):
		case errors.Is(err, os.ErrClosed), errors.Is(err, io.EOF):
			return nil
		default: // ENODEV: the link is gone
			return err
		}
	}
}

// write sends a frame. One that the link does not take is lost, as a link may.
func (t *tap) write(frame []byte) { _, _ = t.file.Write(frame) }

func (t *tap) close() { _ = t.file.Close() }
