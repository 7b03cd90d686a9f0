//go:build unix

package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Lock serialises what changes a lab: up, down and crash. It waits for the
// lock until ctx ends; waiting is told once who holds it, and may be nil. The
// kernel releases it when its holder ends, however it ends.
func Lock(ctx context.Context, name string, waiting func(holder string)) (unlock func(), err error) {
	return LockIn(ctx, RunRoot, name, waiting)
}

// LockIn is Lock with the labs' directories in root. The file is beside them, as
// down removes them; unlock removes it when there is no lab of that name any
// more.
func LockIn(ctx context.Context, root, name string, waiting func(holder string)) (unlock func(), err error) {
	path := filepath.Join(root, ".locks", name)
	release, err := lockFile(ctx, path, waiting)
	if err != nil {
		return nil, err
	}
	// For those who wait to read; who cannot write it holds the lock no less.
	_ = os.WriteFile(path, fmt.Appendf(nil, "process %d: %s", os.Getpid(), strings.Join(os.Args, " ")), 0o600)
	return func() {
		if _, err := os.Stat(filepath.Join(root, name)); os.IsNotExist(err) {
			_ = os.Remove(path) // while it is ours; else it stays, empty
		}
		release()
	}, nil
}

// LockFile waits for the exclusive lock of the file, which it makes. A holder may
// remove the file, so what was locked must still be what has the name.
func LockFile(ctx context.Context, path string) (unlock func(), err error) {
	return lockFile(ctx, path, nil)
}

func lockFile(ctx context.Context, path string, waiting func(holder string)) (unlock func(), err error) {
	const (
		retry   = 5 * time.Millisecond
		silence = 300 * time.Millisecond // most are held for less
	)
	tell := time.Now().Add(silence)
	for {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil && !os.IsNotExist(err) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if err == nil {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
			if err == nil && same(f, path) {
				return func() { f.Close() }, nil
			}
			f.Close()
			if err != nil && err != unix.EWOULDBLOCK && err != unix.EINTR {
				return nil, fmt.Errorf("lock %s: %w", path, err)
			}
		}
		if waiting != nil && time.Now().After(tell) {
			holder, _ := os.ReadFile(path)
			waiting(string(holder))
			waiting = nil
		}
		t := time.NewTimer(retry)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, fmt.Errorf("lock %s, which another etcdlab holds: %w", path, ctx.Err())
		case <-t.C:
		}
	}
}

func same(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}
