package fuse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	gofuse "github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/disk"
)

// Device is a disk that is attached.
type Device struct {
	dir    string
	server *gofuse.Server
	served chan struct{} // closed when the server has ended

	mu       sync.Mutex
	loop     *loopDevice // nil when detached
	keeper   *exec.Cmd   // nil without
	detached bool        // Detach was called
}

// Attach serves the engine in this process: a FUSE file system on dir, which
// is made if missing, and a loop device on its one file. The engine's lifetime
// stays the caller's: close it after Detach.
func Attach(ctx context.Context, e *disk.Engine, dir string) (*Device, error) {
	return attach(ctx, e, dir, directIO)
}

func attach(ctx context.Context, e *disk.Engine, dir string, direct bool) (*Device, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("attach a disk at %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("attach a disk at %s: %w", dir, err)
	}
	server, err := newServer(newFileSystem(e), dir)
	if err != nil {
		return nil, fmt.Errorf("mount FUSE on %s: %w: run as root on a machine or in a container with /dev/fuse", dir, err)
	}
	d := &Device{dir: dir, server: server, served: make(chan struct{})}
	go func() {
		defer close(d.served)
		server.Serve()
	}()
	err = within(ctx, func() error {
		// WaitMount also has the kernel learn that the file system knows no
		// poll, before the runtime of anybody asks; see attachLoop.
		if err := server.WaitMount(); err != nil {
			return err
		}
		loop, err := attachLoop(ctx, filepath.Join(dir, FileName), e.BlockSize(), direct)
		if err != nil {
			return err
		}
		return d.adopt(loop)
	})
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		return nil, errors.Join(fmt.Errorf("attach a loop device to %s: %w", filepath.Join(dir, FileName), err), d.Detach(undo))
	}
	return d, nil
}

// adopt takes the loop device, unless Attach has given up meanwhile: then
// nobody else would detach it.
func (d *Device) adopt(loop *loopDevice) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.detached {
		ctx, cancel := context.WithTimeout(context.Background(), undoTime)
		defer cancel()
		return loop.detach(ctx)
	}
	d.loop = loop
	return nil
}

// Bind has the loop device end with this process and with what is mounted from
// it, so that a container that is killed leaves none on its machine. While it is
// bound, the kernel does not drop its cache when others close it. Detach ends it
// as ever.
// A process that may end together with its mount namespace needs Keep, too.
func (d *Device) Bind(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.loop == nil || d.loop.held != nil {
		return nil
	}
	if err := within(ctx, d.loop.bind); err != nil {
		return fmt.Errorf("bind %s to this process: %w", d.loop.path(), err)
	}
	return nil
}

// Keep starts a process that ends after this one, with which its mount namespace
// may end: the first process of a container. A namespace ends in the last of its
// processes before that one's files are closed, so that one that serves a disk
// would wait for the write-back of what is mounted from it, and that for a FUSE
// connection which nobody serves and nothing has ended. Such a process cannot be
// killed. Killing all of them at once does not say who is the last.
//
// The keeper is told the path of the disk's file as its last argument, opens it
// for reading, prints a line, and waits to be killed. At its end it closes its
// files first, and waits for a flush of this one: until the server answers, or
// has closed all of its own files. Detach ends it.
func (d *Device) Keep(ctx context.Context, keeper *exec.Cmd) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.loop == nil || d.keeper != nil {
		return nil
	}
	keeper.Args = append(keeper.Args, filepath.Join(d.dir, FileName))
	out, err := keeper.StdoutPipe()
	if err != nil {
		return fmt.Errorf("keep the disk at %s: %w", d.dir, err)
	}
	if err := keeper.Start(); err != nil {
		return fmt.Errorf("keep the disk at %s: %w", d.dir, err)
	}
	d.keeper = keeper
	err = within(ctx, func() error {
		_, err := out.Read(make([]byte, 1))
		return err
	})
	if err != nil {
		d.release()
		return fmt.Errorf("keep the disk at %s: the keeper does not hold its file: %w", d.dir, err)
	}
	return nil
}

// release ends the keeper.
func (d *Device) release() {
	if d.keeper != nil {
		_ = d.keeper.Process.Kill() // unless it has ended
		_ = d.keeper.Wait()
		d.keeper = nil
	}
}

// Path is the block device: /dev/loopN.
func (d *Device) Path() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.loop == nil {
		return ""
	}
	return d.loop.path()
}

// Detach ends the loop device and the FUSE file system. A file system that is
// mounted from the device keeps both alive: unmount it first. It may be called
// again, after success and after failure.
func (d *Device) Detach(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.detached = true
	if d.loop != nil {
		if err := d.loop.detach(ctx); err != nil {
			return fmt.Errorf("detach %s: %w", d.loop.path(), err)
		}
		d.loop = nil
	}
	d.release() // it has a file open there
	if err := unmountFUSE(ctx, d.dir); err != nil {
		return fmt.Errorf("unmount FUSE on %s: %w", d.dir, err)
	}
	select {
	case <-d.served:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the FUSE server of %s to end: %w", d.dir, ctx.Err())
	}
}

// unmountFUSE unmounts dir. The loop device lets go of the file a moment after
// it is gone, so that busy is not final.
func unmountFUSE(ctx context.Context, dir string) error {
	return retry(ctx, func() (bool, error) {
		err := within(ctx, func() error { return unix.Unmount(dir, 0) })
		switch {
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT):
			return true, nil // not mounted
		default:
			return !errors.Is(err, unix.EBUSY), err
		}
	})
}
