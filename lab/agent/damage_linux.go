package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/lab"
)

// undoDir has what damaged files held, beside etcd's directory on the member's
// own disk: what undoes a damage shares the fate of the file.
const undoDir = "etcdlab-damage"

// aroundBytes is what is kept of a file around the byte that was flipped: a page.
const aroundBytes = 4096

// undo is one damage with what takes it back.
type undo struct {
	lab.Damaged
	At    int64  `json:"at"`    // where Was begins in the file
	Was   []byte `json:"was"`   // of flip: what was there; of truncate: the end of what stayed
	Size  int64  `json:"size"`  // of the file, before
	Saved string `json:"saved"` // of truncate: the file with what was cut off
}

func (a *Agent) undoPath() string { return filepath.Join(filepath.Dir(a.cfg.DataDir), undoDir) }

// lookDamaged looks at a disk that was mounted.
func (a *Agent) lookDamaged() {
	names, _ := filepath.Glob(filepath.Join(a.undoPath(), "*.json"))
	a.setDamaged(len(names) > 0)
}

func (a *Agent) setDamaged(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.damaged = on
}

// Damage damages a file of the data directory, whose names are few and fixed, so
// that nothing outside of it can be meant.
func (a *Agent) Damage(_ context.Context, d lab.Damage) (lab.Damaged, error) {
	if err := a.dataFree("damage the data"); err != nil {
		return lab.Damaged{}, err
	}
	done, err := damage(a.cfg.DataDir, a.undoPath(), d)
	if errors.Is(err, lab.ErrNoFile) {
		return done, Conflict("damage %s of %s: %v", d.File, a.cfg.Member, err)
	}
	if err != nil {
		return done, fmt.Errorf("damage %s of %s: %w", d.File, a.cfg.Member, err)
	}
	a.setDamaged(true)
	return done, nil
}

func damage(data, undos string, d lab.Damage) (done lab.Damaged, err error) {
	path, err := pathOf(data, d.File)
	if err != nil {
		return done, err
	}
	if path == "" {
		return done, lab.ErrNoFile
	}
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return done, err
	}
	sectors, err := used(f, info.Size())
	if err != nil {
		return done, err
	}
	if len(sectors) < 2 {
		return done, lab.ErrNoFile
	}
	rel, err := filepath.Rel(data, path)
	if err != nil {
		return done, err
	}
	r := rand.New(rand.NewPCG(d.Seed, 0x64616d616765)) // "damage"
	u := undo{Damaged: lab.Damaged{Path: rel, Kind: d.Kind}, Size: info.Size()}
	end := min(info.Size(), sectors[len(sectors)-1]+usedUnit)
	var change func() error
	if d.Kind == lab.DamageFlip {
		u.Offset = min(sectors[r.IntN(len(sectors))]+r.Int64N(usedUnit), info.Size()-1)
		u.Bit = r.IntN(8)
		u.At = u.Offset / aroundBytes * aroundBytes
		u.Was = make([]byte, min(aroundBytes, info.Size()-u.At))
		if _, err := f.ReadAt(u.Was, u.At); err != nil {
			return done, err
		}
		u.Old = u.Was[u.Offset-u.At]
		u.New = u.Old ^ 1<<u.Bit
		change = func() error { _, err := f.WriteAt([]byte{u.New}, u.Offset); return err }
	} else {
		u.Offset = 1 + r.Int64N(end-1)
		u.Lost = end - u.Offset
		u.At = max(0, u.Offset-aroundBytes)
		u.Was = make([]byte, u.Offset-u.At)
		if _, err := f.ReadAt(u.Was, u.At); err != nil {
			return done, err
		}
		change = func() error { return f.Truncate(u.Offset) }
	}
	// The undo is whole on the disk before anything is done.
	if err := u.store(undos, f, end); err != nil {
		return done, fmt.Errorf("keep what undoes it: %w", err)
	}
	return u.Damaged, errors.Join(change(), f.Sync())
}

// store writes the undo under a number that is higher than the others'.
func (u *undo) store(dir string, f *os.File, end int64) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return err
	}
	stem := filepath.Join(dir, fmt.Sprintf("%06d", len(names)))
	if u.Kind == lab.DamageTruncate {
		u.Saved = filepath.Base(stem) + ".tail"
		out, err := os.Create(stem + ".tail")
		if err != nil {
			return err
		}
		_, err = io.Copy(out, io.NewSectionReader(f, u.Offset, end-u.Offset))
		if err = errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	b, err := json.Marshal(u)
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(stem+".new", b, 0o600), os.Rename(stem+".new", stem+".json")); err != nil {
		return err
	}
	return syncFS(dir)
}

// usedUnit is what is in use or not: what etcd preallocates is zero.
const usedUnit = 512

// used lists the units of a file that are not all zero.
func used(f *os.File, size int64) (at []int64, err error) {
	buf := make([]byte, 1<<20)
	for off := int64(0); off < size; {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-off)], off)
		if err != nil && err != io.EOF {
			return nil, err
		}
		if n == 0 {
			break
		}
		for i := 0; i < n; i += usedUnit {
			if b := buf[i:min(i+usedUnit, n)]; slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) {
				at = append(at, off+int64(i))
			}
		}
		off += int64(n)
	}
	return at, nil
}

// Repair undoes every damage, the last first, where the file is still as it was
// left; what etcd has written over since is not touched.
func (a *Agent) Repair(context.Context) (all []lab.Repaired, err error) {
	if err := a.dataFree("repair the data"); err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(a.undoPath(), "*.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range slices.Backward(names) {
		u, err := readUndo(name)
		if err != nil {
			return all, fmt.Errorf("repair the data of %s: %w", a.cfg.Member, err)
		}
		why, err := u.repair(a.cfg.DataDir, a.undoPath())
		if err != nil {
			return all, fmt.Errorf("repair %s of %s: %w", u.Path, a.cfg.Member, err)
		}
		all = append(all, lab.Repaired{Damaged: u.Damaged, Restored: why == "", Why: why})
	}
	if err := os.RemoveAll(a.undoPath()); err != nil {
		return all, err
	}
	a.setDamaged(false)
	return all, nil
}

func readUndo(name string) (u undo, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return u, err
	}
	return parseUndo(b)
}

// parseUndo checks what it reads: it names a file that will be written.
func parseUndo(b []byte) (u undo, err error) {
	if err := json.Unmarshal(b, &u); err != nil {
		return u, fmt.Errorf("what undoes a damage is damaged itself: %w", err)
	}
	in := u.Offset - u.At
	local := filepath.IsLocal(u.Path) && (u.Saved == "" || filepath.Base(u.Saved) == u.Saved && filepath.IsLocal(u.Saved))
	flips := u.Kind == lab.DamageFlip && in >= 0 && in < int64(len(u.Was))
	cuts := u.Kind == lab.DamageTruncate && u.Saved != "" && in == int64(len(u.Was)) && u.Size >= u.Offset
	if !local || u.At < 0 || !flips && !cuts {
		return u, fmt.Errorf("what undoes a damage of %q is not that", u.Path)
	}
	return u, nil
}

// repair says why the file could not be made what it was, "" if it could.
func (u *undo) repair(data, undos string) (why string, err error) {
	f, err := os.OpenFile(filepath.Join(data, u.Path), os.O_RDWR|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "the file is gone", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	now := make([]byte, len(u.Was))
	if n, err := f.ReadAt(now, u.At); n < len(now) {
		if err == io.EOF {
			return "the file is shorter than the damage left it", nil
		}
		return "", err
	}
	if u.Kind == lab.DamageFlip {
		if bytes.Equal(now, u.Was) {
			return "", nil // it was never done, or undone before
		}
		now[u.Offset-u.At] ^= 1 << u.Bit
		if !bytes.Equal(now, u.Was) {
			return "etcd has written over the page since", nil
		}
		if _, err := f.WriteAt(u.Was, u.At); err != nil {
			return "", err
		}
		return "", f.Sync()
	}
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	switch {
	case info.Size() == u.Size:
		return "", nil // it was never done; a file of etcd's does not grow to the same size
	case info.Size() != u.Offset || !bytes.Equal(now, u.Was):
		return "etcd has written to the file since", nil
	}
	tail, err := os.Open(filepath.Join(undos, u.Saved))
	if err != nil {
		return "", err
	}
	defer tail.Close()
	if _, err := io.Copy(io.NewOffsetWriter(f, u.Offset), tail); err != nil {
		return "", err
	}
	return "", errors.Join(f.Truncate(u.Size), f.Sync())
}
