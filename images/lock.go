package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// keyLock is held by whoever makes or removes the entry of one key. It is a
// flock, so that it ends with its process however that dies. Lock files are
// never removed: a process that waits on an unlinked file would share the lock
// with nobody.
type keyLock struct{ f *os.File }

// errLocked means that another process (or another goroutine: each open file
// has its own flock) holds the lock.
var errLocked = errors.New("locked")

func tryLock(dir, key string) (*keyLock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, key), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil {
		return &keyLock{f}, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errLocked
	}
	return nil, fmt.Errorf("flock %s: %w", f.Name(), err)
}

// lock waits for the lock until ctx ends. It polls: a blocking flock cannot be
// interrupted by a context.
func lock(ctx context.Context, dir, key string, waiting func()) (*keyLock, error) {
	for first := true; ; first = false {
		l, err := tryLock(dir, key)
		if !errors.Is(err, errLocked) {
			return l, err
		}
		if first {
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (l *keyLock) unlock() { _ = l.f.Close() }
