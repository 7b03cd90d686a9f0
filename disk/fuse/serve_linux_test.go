package fuse

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/etcdlab/etcdlab/disk"
)

// serveDir, set in the environment, makes the test binary a process that
// serves a disk: kills and CPU times need one of their own.
const (
	serveDir    = "ETCDLAB_TEST_SERVE"
	serveDirect = "ETCDLAB_TEST_DIRECT"
	serveIn     = "ETCDLAB_TEST_INSIDE" // see serveInside
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveDir); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// serve opens and attaches the disk in dir, prints the device and detaches
// when its standard input ends.
func serve(dir string) error {
	e, err := disk.Open(disk.Options{Dir: dir})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	d, err := attach(ctx, e, filepath.Join(dir, "fuse"), os.Getenv(serveDirect) == "true")
	if err != nil {
		return err
	}
	if os.Getenv(serveIn) != "" {
		if err := serveInside(ctx, d, dir); err != nil {
			return err
		}
	}
	fmt.Println("device", d.Path())
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	ctx, cancel2 := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel2()
	if err := d.Detach(ctx); err != nil {
		return err
	}
	return e.Close()
}

// child is a process that serves the disk in dir.
type child struct {
	cmd    *exec.Cmd
	device string
}

func startChild(t testing.TB, dir string, env ...string) *child {
	t.Helper()
	return startChildIn(t, dir, nil, env...)
}

// startChildIn starts it in namespaces of its own, as attr says.
func startChildIn(t testing.TB, dir string, attr *syscall.SysProcAttr, env ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	c := &child{cmd: exec.Command(exe)}
	c.cmd.SysProcAttr = attr
	c.cmd.Env = append(append(os.Environ(), serveDir+"="+dir), env...)
	in, err := c.cmd.StdinPipe()
	must(t, err)
	out, err := c.cmd.StdoutPipe()
	must(t, err)
	c.cmd.Stderr = os.Stderr
	must(t, c.cmd.Start())
	t.Cleanup(func() {
		in.Close()
		_ = c.cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	device, ok := strings.CutPrefix(strings.TrimSpace(line), "device ")
	if !ok {
		t.Fatalf("the serving process says %q", line)
	}
	c.device = device
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// needRoot skips where a disk cannot be attached.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("attaching a disk needs root")
	}
	for _, path := range []string{"/dev/fuse", "/dev/loop-control"} {
		if _, err := os.Stat(path); err != nil {
			t.Skipf("attaching a disk needs %s", path)
		}
	}
}
