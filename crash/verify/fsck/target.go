package fsck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	dbFile   = "member/snap/db"
	lockWait = 2 * time.Second
	lockPoll = 50 * time.Millisecond
)

// UsageError says that what was named is no data directory of etcd.
type UsageError struct{ message string }

func (e *UsageError) Error() string { return e.message }

// BusyError says that a process, most likely etcd, has the directory in use.
type BusyError struct{ Dir string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("%s is in use: another process, most likely etcd, holds the lock of %s; stop it, or check a copy", e.Dir, dbFile)
}

// Resolve finds the data directory that is meant: the --data-dir of an etcd, its
// member directory, or one of those in it. The error is *UsageError.
func Resolve(dir string) (string, error) {
	info, err := os.Stat(dir)
	switch {
	case os.IsNotExist(err):
		return "", &UsageError{dir + " does not exist; name the --data-dir of an etcd"}
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", &UsageError{dir + " is a file; name the --data-dir of an etcd, the directory that holds member/"}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for _, d := range []string{abs, filepath.Dir(abs), filepath.Dir(filepath.Dir(abs))} {
		inside, err := filepath.Rel(d, abs)
		if err != nil || inside != "." && inside != "member" && inside != filepath.Join("member", "snap") && inside != filepath.Join("member", "wal") {
			continue
		}
		if isDir(filepath.Join(d, "member", "snap")) || isDir(filepath.Join(d, "member", "wal")) {
			return d, nil
		}
	}
	return "", &UsageError{dir + " is not a data directory of etcd: it has no member/snap and no member/wal; name the --data-dir of an etcd"}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// openDB opens the db for reading and takes the lock that bbolt takes, shared:
// an etcd that starts meanwhile waits. nil when there is no db.
func openDB(ctx context.Context, dir string) (*os.File, error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(dbFile)))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockWait); ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", dbFile, err), f.Close())
		}
		if time.Now().After(end) {
			return nil, errors.Join(&BusyError{dir}, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(lockPoll):
		}
	}
}
