package conformance_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/nbd"
	"github.com/etcdlab/etcdlab/images/guest/guesttest"
	"github.com/etcdlab/etcdlab/internal/blockio"
)

// image is what guests boot, made once for a test.
type image struct{ kernel, initrd string }

func guestImage(t *testing.T) image {
	t.Helper()
	kernel, initrd := guesttest.Bare(t, ".")
	return image{kernel, initrd}
}

// attachNew serves a new disk.
func attachNew(t *testing.T, o disk.Options) (*disk.Engine, *nbd.Device) {
	t.Helper()
	o.Dir, o.Size = newDir(t), 16<<20
	must(t, disk.Create(o))
	e, err := disk.Open(o)
	must(t, err)
	t.Cleanup(func() { must(t, e.Close()) })
	d, err := nbd.Attach(t.Context(), e, o.Dir)
	must(t, err)
	t.Cleanup(func() { must(t, d.Detach(within(t, time.Minute))) })
	return e, d
}

// newDir is a directory with a name that is short enough for sockets.
func newDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nbd")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

// machine is a guest that runs.
type machine struct {
	cmd     *exec.Cmd
	console *bytes.Buffer
	devices map[string]blockio.Device
}

// boot starts a guest on a disk that is served, and returns when it serves it
// to the tests.
func boot(t *testing.T, i image, d *nbd.Device, blockSize int64) *machine {
	t.Helper()
	start := time.Now()
	dir := newDir(t)
	m := &machine{console: new(bytes.Buffer), devices: map[string]blockio.Device{}}
	m.cmd = exec.Command("qemu-system-x86_64", "-machine", "q35", "-cpu", "max", "-m", "256", "-smp", "1",
		"-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio",
		"-kernel", i.kernel, "-initrd", i.initrd, "-append", "console=ttyS0 quiet panic=-1",
		"-blockdev", "driver=nbd,node-name=disk,server.type=unix,server.path="+d.Path()+",export="+nbd.ExportName+",discard=unmap",
		"-device", fmt.Sprintf("virtio-blk-pci,drive=disk,logical_block_size=%d,physical_block_size=%d,werror=report,rerror=report", blockSize, blockSize),
		"-device", "virtio-serial-pci")
	listeners := map[string]*net.UnixListener{}
	for _, name := range ports {
		path := filepath.Join(dir, name)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		must(t, err)
		defer l.Close()
		listeners[name] = l
		m.cmd.Args = append(m.cmd.Args, "-chardev", "socket,id="+name+",path="+path, "-device", "virtserialport,chardev="+name+",name="+name)
	}
	m.cmd.Stdout, m.cmd.Stderr = m.console, m.console
	must(t, m.cmd.Start())
	t.Cleanup(m.kill)
	for _, name := range ports {
		must(t, listeners[name].SetDeadline(time.Now().Add(2*time.Minute)))
		c, err := listeners[name].Accept()
		must(t, err)
		must(t, c.SetReadDeadline(time.Now().Add(5*time.Minute)))
		remote, err := blockio.Remote(c, c)
		if err != nil {
			m.kill()
			t.Fatalf("%v; the guest's console:\n%s", err, m.console)
		}
		must(t, c.SetReadDeadline(time.Time{}))
		m.devices[name] = remote
	}
	t.Logf("the guest serves after %v", time.Since(start).Round(time.Millisecond))
	return m
}

// kill is what a power cut does to QEMU: no flush, no goodbye.
func (m *machine) kill() {
	if m.cmd.ProcessState != nil {
		return
	}
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
	for _, d := range m.devices {
		_ = d.Close()
	}
}

// shared is an open device that stays open for the next test.
type shared struct{ blockio.Device }

func (shared) Close() error { return nil }

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), d)
	t.Cleanup(cancel)
	return ctx
}
