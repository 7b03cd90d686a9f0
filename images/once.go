package images

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// once makes the entry, unless find finds it once the lock of its key is held:
// somebody else may have made it while this process waited. fill puts its
// files into out, working in work; they appear under the entry's name whole or
// not at all.
func (s *Store) once(ctx context.Context, entry string, waiting func(), find func() (bool, error), fill func(work, out string) error) (err error) {
	key := filepath.Base(entry)
	l, err := lock(ctx, s.locks(), key, waiting)
	if err != nil {
		return err
	}
	defer l.unlock()
	if ok, err := find(); ok || err != nil {
		return err
	}
	s.sweep(key)
	if err := s.discard(entry); err != nil { // one that find rejected
		return err
	}
	tmp, err := os.MkdirTemp(s.tmp(), key+".")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	work, out := filepath.Join(tmp, "work"), filepath.Join(tmp, "entry")
	for _, d := range []string{work, out} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	if err := fill(work, out); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return publish(out, entry)
}

// publish makes the entry appear whole or not at all, even across a power
// loss: contents and directories are durable before the rename, the rename
// before the entry is used.
func publish(out, entry string) error {
	err := filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return fsync(path)
	})
	if err != nil {
		return err
	}
	if err := os.Rename(out, entry); err != nil {
		return err
	}
	return fsync(filepath.Dir(entry))
}

func fsync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// sweep removes what dead builds left, that is, whatever in tmp/ belongs to a
// key whose lock is free, or is held by the caller.
func (s *Store) sweep(held string) {
	dirs, err := os.ReadDir(s.tmp())
	if err != nil {
		return // the build itself will say what is wrong there
	}
	for _, d := range dirs {
		key, _, _ := strings.Cut(d.Name(), ".")
		if key == held {
			_ = os.RemoveAll(filepath.Join(s.tmp(), d.Name()))
		} else if l, err := tryLock(s.locks(), key); err == nil {
			_ = os.RemoveAll(filepath.Join(s.tmp(), d.Name()))
			l.unlock()
		}
	}
}

// discard removes an entry, if it is there, so that nobody sees half of it:
// first its name is gone, then its files. The caller holds the key's lock.
func (s *Store) discard(entry string) error {
	if _, err := os.Lstat(entry); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	away, err := os.MkdirTemp(s.tmp(), filepath.Base(entry)+".")
	if err != nil {
		return err
	}
	err = os.Rename(entry, filepath.Join(away, "removed"))
	return errors.Join(err, os.RemoveAll(away))
}
