package vm

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/images/guest"
)

// Descriptors that QEMU inherits: one end each of a pair of sockets whose other
// end is ours. They need no path, and no other can connect.
const (
	fdQMP = 3 + iota
	fdConsole
	fdNet
)

// Addresses of QEMU's user networking.
const (
	guestAddress = "10.0.2.15/24" // of the guest's control link
	guestIP      = "10.0.2.15"
)

// macOf is the address of a member's card on the lab's network.
func macOf(ip string) (net.HardwareAddr, error) {
	a, err := netip.ParseAddr(ip)
	if err != nil || !a.Is4() {
		return nil, fmt.Errorf("%q is no IPv4 address", ip)
	}
	b := a.As4()
	return net.HardwareAddr{0x02, 0xe1, b[0], b[1], b[2], b[3]}, nil
}

// controlMAC is that of the guest's control link, whose network is QEMU's own.
const controlMAC = "02:e2:00:00:00:01"

// command is QEMU's command line, without the program. nbd is the socket of the
// engine, or "" where the disk is the plain image file.
func (c *config) command(nbd, image string) ([]string, error) {
	mac, err := macOf(c.IP)
	if err != nil {
		return nil, err
	}
	blockdev := map[string]any{
		"node-name": "disk", "discard": "unmap",
		// no-flush would make every flush of the guest a lie; it is off by
		// default, and said here because all depends on it.
		"cache": map[string]any{"direct": false, "no-flush": false},
	}
	if nbd != "" {
		blockdev["driver"] = "nbd"
		blockdev["server"] = map[string]any{"type": "unix", "path": nbd}
	} else {
		blockdev["driver"] = "raw"
		blockdev["file"] = map[string]any{"driver": "file", "filename": image, "locking": "off"}
	}
	drive, err := json.Marshal(blockdev)
	if err != nil {
		return nil, err
	}
	recorder, err := c.recorder()
	if err != nil {
		return nil, err
	}
	user := []string{"user", "id=control", "restrict=on"}
	for _, port := range c.ports() {
		// Port 0: the kernel chooses one that is free, and QEMU tells which.
		user = append(user, fmt.Sprintf("hostfwd=tcp:127.0.0.1:0-%s:%d", guestIP, port))
	}
	args := []string{
		"-name", fmt.Sprintf("etcdlab-%s.%s,debug-threads=on", c.Lab, c.Member),
		"-nodefaults", "-no-user-config", "-display", "none",
		"-machine", "q35,usb=off,smbus=off,sata=off",
		"-m", fmt.Sprintf("%dM", c.Memory>>20), "-smp", fmt.Sprint(c.CPUs),
		"-kernel", c.Kernel, "-initrd", c.Initrd, "-append", c.kernelLine(),
		"-chardev", fmt.Sprintf("socket,id=qmp,fd=%d", fdQMP), "-mon", "chardev=qmp,mode=control",
		"-chardev", fmt.Sprintf("socket,id=console,fd=%d", fdConsole), "-serial", "chardev:console",
		"-blockdev", string(drive),
		"-device", c.diskDevice(),
	}
	args = append(args, recorder...)
	args = append(args,
		"-netdev", strings.Join(user, ","), "-device", "virtio-net-pci,netdev=control,romfile=,mac="+controlMAC,
		"-netdev", fmt.Sprintf("socket,id=lab,fd=%d", fdNet), "-device", "virtio-net-pci,netdev=lab,romfile=,id=card,mac="+mac.String(),
		"-device", "virtio-rng-pci", "-device", "pvpanic",
		// A guest that resets or panics ends QEMU, so that it is seen; another
		// boot is a new QEMU. It must not pause: that would flush the disk.
		"-action", "reboot=shutdown,shutdown=poweroff,panic=none",
	)
	return append(args, accelArgs(c.Accel)...), nil
}

// diskDevice is the member's disk as the guest sees it. Its errors are the
// guest's to see; by default QEMU would stop the machine when the host's own disk
// is full, and flush the guest's. Blocks are as large as the disk's own, or QEMU
// would read what surrounds a smaller write, and write it again.
func (c *config) diskDevice() string {
	block := int64(disk.SectorSize)
	if c.Disk.Kind == "fault" {
		block = disk.BlockSize(c.Disk.Profile)
	}
	return fmt.Sprintf("virtio-blk-pci,drive=disk,serial=etcdlab,write-cache=on,werror=report,rerror=report,logical_block_size=%d,physical_block_size=%d", block, block)
}

// recorder is the second disk, on which a guest with device mapper records what
// it writes on the first.
func (c *config) recorder() ([]string, error) {
	if c.Disk.Kind != "dm" || !c.Disk.KeepLog {
		return nil, nil
	}
	drive, err := json.Marshal(map[string]any{
		"node-name": "log", "driver": "raw", "discard": "unmap",
		"file": map[string]any{"driver": "file", "filename": filepath.Join(c.StateDir, recordFile), "locking": "off"},
	})
	return []string{"-blockdev", string(drive), "-device", "virtio-blk-pci,drive=log,serial=etcdlab-log"}, err
}

func accelArgs(accel string) []string {
	if accel == "kvm" {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	// A small processor boots half a second faster than max; the extensions are
	// those that TLS and checksums use.
	return []string{"-accel", "tcg,thread=multi", "-cpu", "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq,+rdrand"}
}

// kernelLine is the kernel's command line. A panic reboots at once, which ends
// QEMU; sysrq works over the serial line, which needs nothing of the guest but
// its kernel.
func (c *config) kernelLine() string {
	more := []string{
		"reboot=t", "sysrq_always_enabled=1", "net.ifnames=0", "random.trust_cpu=on",
		fmt.Sprintf("etcdlab.time=%.3f", float64(time.Now().UnixMilli())/1000),
	}
	if c.Accel == "tcg" {
		more = append(more, tscParameter())
	}
	if c.Append != "" {
		more = append(more, c.Append)
	}
	return guest.CommandLine(runtime.GOARCH, more...)
}

// ports of the guest that are reached from the host: the agent's first.
func (c *config) ports() []int {
	ports := []int{c.Agent}
	for _, f := range c.Forward {
		if !slices.Contains(ports, f.Port) {
			ports = append(ports, f.Port)
		}
	}
	return ports
}
