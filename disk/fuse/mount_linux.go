package fuse

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	gofuse "github.com/hanwen/go-fuse/v2/fuse"
)

// newServer mounts the file system on dir. go-fuse opens /dev/fuse without
// O_CLOEXEC, and a child that has it open, as etcd would, keeps the connection
// after a kill of this process: then the child itself waits for the disk for
// good, and not even SIGKILL ends it. So nothing is forked between the mount and
// the flag, and a fall back to fusermount, which would fork, is not wanted.
func newServer(filesystem gofuse.RawFileSystem, dir string) (*gofuse.Server, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	server, err := gofuse.NewServer(filesystem, dir, &gofuse.MountOptions{
		FsName:            fsName,
		Name:              fsName,
		MaxWrite:          maxWrite,
		MaxBackground:     64,
		DirectMountStrict: true,
		DisableSplice:     true,
		DisableXAttrs:     true,
		// What go-fuse has to say is of requests that we answer with ENOSYS.
		Logger: log.New(io.Discard, "", 0),
	})
	if err != nil {
		return nil, err
	}
	if err := closeOnExec("/dev/fuse"); err != nil {
		return nil, errors.Join(err, syscall.Unmount(dir, syscall.MNT_DETACH))
	}
	return server, nil
}

// closeOnExec keeps every descriptor of the file from children.
func closeOnExec(file string) error {
	const own = "/proc/self/fd"
	fds, err := os.ReadDir(own)
	if err != nil {
		return fmt.Errorf("keep %s from children: %w", file, err)
	}
	for _, e := range fds {
		if to, err := os.Readlink(filepath.Join(own, e.Name())); err != nil || to != file {
			continue
		}
		if fd, err := strconv.Atoi(e.Name()); err == nil {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}
