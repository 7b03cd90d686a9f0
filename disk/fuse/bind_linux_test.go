package fuse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/fs"
)

// serveInside is what a container's first process does: it binds the disk to
// itself, keeps another process beside itself, mounts the disk and has a third
// one write to it.
func serveInside(ctx context.Context, d *Device, dir string) error {
	if err := d.Bind(ctx); err != nil {
		return err
	}
	if err := d.Keep(ctx, exec.Command("sh", "-c", `exec 3<"$1"; echo kept; exec sleep 1000`, "sh")); err != nil {
		return err
	}
	mnt := filepath.Join(dir, "mnt")
	if err := fs.Mount(ctx, d.Path(), mnt, "ext4"); err != nil {
		return err
	}
	return exec.Command("sh", "-c", "echo dirty > "+mnt+"/busy").Run()
}

// When the first process of a container is killed, everything must end by itself,
// in whatever order the kernel takes it apart.
func TestKilledContainerLeavesNothing(t *testing.T) {
	needRoot(t)
	for range 3 {
		dir := t.TempDir()
		must(t, disk.Create(disk.Options{Dir: dir, Size: 16 << 20}))
		must(t, fs.Format(context.Background(), "ext4", disk.ImagePath(dir), disk.SectorSize))
		c := startChildIn(t, dir, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}, serveIn+"=true")
		if left := leftovers(t, dir); len(left) != 1 || left[0] != c.device {
			t.Errorf("while it runs, there is %v, want %s", left, c.device)
		}
		must(t, c.cmd.Process.Kill())
		ended := make(chan error, 1)
		go func() { ended <- c.cmd.Wait() }()
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Fatalf("process %d does not end", c.cmd.Process.Pid)
		}
		must(t, retry(soon(t), func() (bool, error) { return len(leftovers(t, dir)) == 0, nil }))
	}
}

// A keeper ends neither before the server answers the close of its file, nor
// while the server is still being taken apart.
func TestKeeperWaitsForTheServer(t *testing.T) {
	needRoot(t)
	for name, then := range map[string]syscall.Signal{"answers": syscall.SIGCONT, "ends": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, disk.Create(disk.Options{Dir: dir, Size: 1 << 20}))
			c := startChild(t, dir)
			t.Cleanup(func() { _ = CleanUp(soon(t), filepath.Join(dir, "fuse")) })
			// A server that knows no flush is never asked again.
			keeper := exec.Command("sh", "-c", `: <"$1"; exec 3<"$1"; echo kept; exec sleep 1000`, "sh", filepath.Join(dir, "fuse", FileName))
			out, err := keeper.StdoutPipe()
			must(t, err)
			must(t, keeper.Start())
			_, err = out.Read(make([]byte, 1))
			must(t, err)
			must(t, c.cmd.Process.Signal(syscall.SIGSTOP))
			must(t, retry(soon(t), func() (bool, error) { return stopped(t, c.cmd.Process.Pid), nil }))
			must(t, keeper.Process.Kill())
			ended := make(chan error, 1)
			go func() { ended <- keeper.Wait() }()
			select {
			case err := <-ended:
				t.Error("it ended while the server did nothing")
				ended <- err
			case <-time.After(200 * time.Millisecond):
			}
			must(t, c.cmd.Process.Signal(then))
			select {
			case <-ended:
			case <-time.After(time.Minute):
				t.Error("it does not end")
			}
		})
	}
}

// stopped says whether every thread of a process is.
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	must(t, err)
	for _, file := range threads {
		stat, err := os.ReadFile(file)
		must(t, err)
		if !strings.Contains(string(stat), ") T ") {
			return false
		}
	}
	return len(threads) > 0
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Everybody asks the kernel for a free loop device at the same moment, and gets
// one of his own.
func TestManyAttachAtOnce(t *testing.T) {
	needRoot(t)
	const many = 8
	type result struct {
		path string
		err  error
	}
	results := make(chan result, many)
	for range many {
		dir := t.TempDir()
		must(t, disk.Create(disk.Options{Dir: dir, Size: 1 << 20}))
		e, err := disk.Open(disk.Options{Dir: dir})
		must(t, err)
		t.Cleanup(func() { must(t, e.Close()) })
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			d, err := Attach(ctx, e, filepath.Join(dir, "fuse"))
			if err != nil {
				results <- result{err: err}
				return
			}
			path := d.Path()
			if err = d.Bind(ctx); err == nil {
				time.Sleep(50 * time.Millisecond)
			}
			results <- result{path, errors.Join(err, d.Detach(ctx))}
		}()
	}
	for range many {
		r := <-results
		must(t, r.err)
		t.Log(r.path)
	}
}
