package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/etcdlab/etcdlab/internal/clock"
)

// Options say what disk to create or open.
type Options struct {
	Dir     string // of the disk's files; must exist
	Size    int64  // bytes, for Create; a multiple of 4096
	Profile string // "" is honest-512 for Create, and as created for Open
	// LogLimit is the length of the log in bytes past which it is folded:
	// restarted in place once nothing is uncovered. 0 is 64 MiB.
	LogLimit int64
	// KeepLog never folds the log and keeps a copy of the image as it was
	// before its first entry, at BasePath, so that all of it can be replayed.
	KeepLog bool
	Clock   func() int64 // nanoseconds, monotonic; nil is internal/clock
}

const defaultLogLimit = 64 << 20

// ErrNoPower is what is asked of a disk whose power was cut and that only a
// powered disk can do.
var ErrNoPower = errors.New("the disk has no power: restore it first")

// Engine is a disk with a volatile cache. Its methods may be called from any
// number of goroutines. Nothing is ever synced to the host's disk: the durable
// image is durable against the power losses that we simulate, and against a
// kill of this process, whose written pages the host's cache keeps.
type Engine struct {
	dir   string
	size  int64
	block int64
	limit int64
	keep  bool
	clock func() int64

	mu        sync.Mutex // held for no longer than a few writes to files
	profile   profile
	image     image
	logs      [2]*appender
	current   int // of logs, the one that is written
	cache     *overlay
	pending   []Entry // since the oldest that no flush covers, in log order
	uncovered int     // of pending, those that are not durable
	powered   bool
	faults    []*armed
	freed     chan struct{} // closed when what faults keep waiting may go on
	places    map[string][]Extent
	trigger   *trigger // of a hold, nil without one
	stats     Stats
	gate      gate
	life      life

	broken atomic.Pointer[string]
}

// life is what is counted from power-on to cut.
type life struct {
	writes, flushes uint64
	lied            uint64 // operations that faults acknowledged and did not do so
	folded          uint64 // entries of the log that folding removed
	cut             CutRecord
	cutFrom, cutTo  int64  // of the last cut: the epoch in its log, in bytes
	cutLog          int    // which log
	number          uint64 // of power-ons
}

// Create makes the files of a new disk in o.Dir. Format its image, at
// ImagePath, before Open: what is written there is durable.
func Create(o Options) error {
	if o.Size <= 0 || o.Size%overlayBlock != 0 {
		return fmt.Errorf("create a disk in %s: a size of %d bytes is not a positive multiple of %d", o.Dir, o.Size, overlayBlock)
	}
	p, err := findProfile(o.Profile)
	if err != nil {
		return fmt.Errorf("create a disk in %s: %w", o.Dir, err)
	}
	f, err := os.OpenFile(ImagePath(o.Dir), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("create a disk in %s: %w: open it, or remove it first", o.Dir, err)
	}
	if err != nil {
		return fmt.Errorf("create a disk in %s: %w", o.Dir, err)
	}
	if err := errors.Join(f.Truncate(o.Size), f.Close()); err != nil {
		return fmt.Errorf("create a disk in %s: %w", o.Dir, err)
	}
	if err := writeConfig(o.Dir, config{Size: o.Size, Profile: p.name, Block: p.atom}); err != nil {
		return fmt.Errorf("create a disk in %s: %w", o.Dir, err)
	}
	return nil
}

// Open gives the disk in o.Dir power. What the cache of a process held that
// died is lost, as in a cut with policy drop; what a flush covered is there.
func Open(o Options) (*Engine, error) {
	c, err := readConfig(o.Dir)
	if err != nil {
		return nil, err
	}
	if o.Profile != "" {
		c.Profile = o.Profile
	}
	p, err := findProfile(c.Profile)
	if err != nil {
		return nil, fmt.Errorf("open the disk in %s: %w", o.Dir, err)
	}
	e := &Engine{dir: o.Dir, size: c.Size, block: c.Block, limit: o.LogLimit, keep: o.KeepLog, clock: o.Clock, profile: p}
	if e.block == 0 {
		e.block = SectorSize
	}
	if e.limit <= 0 {
		e.limit = defaultLogLimit
	}
	if e.clock == nil {
		e.clock = clock.Now
	}
	if err := e.openFiles(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the disk in %s: %w", o.Dir, err), e.closeFiles())
	}
	e.cache, e.freed = newOverlay(c.Size), make(chan struct{})
	if err := e.powerOn(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the disk in %s: %w", o.Dir, err), e.closeFiles())
	}
	return e, nil
}

func (e *Engine) openFiles() error {
	f, err := os.OpenFile(ImagePath(e.dir), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	e.image = image{f}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != e.size {
		return fmt.Errorf("its image has %d bytes, not the %d it was created with: create the disk again", info.Size(), e.size)
	}
	for i, name := range logNames {
		if e.logs[i], err = openAppender(filepath.Join(e.dir, name)); err != nil {
			return err
		}
	}
	if e.logs[1].epoch > e.logs[0].epoch {
		e.current = 1
	}
	return e.recover()
}

// powerOn starts a new log over the image as it is.
func (e *Engine) powerOn() error {
	if e.keep {
		if err := copySparse(BasePath(e.dir), ImagePath(e.dir)); err != nil {
			return fmt.Errorf("keep a copy of the image: %w", err)
		}
	}
	if err := e.log().restart(max(e.logs[0].epoch, e.logs[1].epoch) + 1); err != nil {
		return err
	}
	e.pending, e.uncovered = nil, 0
	e.cache.reset()
	e.life.writes, e.life.flushes, e.life.lied, e.life.folded = 0, 0, 0, 0
	e.life.number++
	e.powered = true
	return nil
}

// log is the log that is written now.
func (e *Engine) log() *appender { return e.logs[e.current] }

// Size is the size of the disk in bytes.
func (e *Engine) Size() int64 { return e.size }

// Profile is the name of the disk's profile.
func (e *Engine) Profile() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.profile.name
}

// BlockSize is the logical block size to show, in bytes. It is that of the
// profile that the disk was created with, and stays when another is armed: the
// file system on it was made for it.
func (e *Engine) BlockSize() int64 { return e.block }

// LogPath is the file of the log that is written now: since power-on with
// KeepLog, else since the last fold. It lags behind, and is complete after a
// Mark, a Cut or Close.
func (e *Engine) LogPath() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return filepath.Join(e.dir, logNames[e.current])
}

// SetProfile makes the disk one of another kind from now on. What is pending
// stays as it is. An unknown name is an error that lists the known ones.
func (e *Engine) SetProfile(name string) error {
	p, err := findProfile(name)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := writeConfig(e.dir, config{Size: e.size, Profile: p.name, Block: e.block}); err != nil {
		return fmt.Errorf("set the disk's profile: %w", err)
	}
	e.profile = p
	return nil
}

// Stats returns the counters. CPU is that of the whole process.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.Uncovered, s.Powered, s.Profile, s.LogBytes = e.uncovered, e.powered, e.profile.name, e.log().end
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil {
		s.CPU = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return s
}

// Close ends the engine. It does not flush: what is uncovered is lost, as it
// would be to a disk that is unplugged. Held flushes end with ErrNoPower.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.image.File == nil {
		return nil
	}
	e.powered = false
	e.gate.open()
	e.free()
	err := e.log().sync()
	return errors.Join(err, e.closeFiles())
}

func (e *Engine) closeFiles() error {
	var errs []error
	if e.image.File != nil {
		errs = append(errs, e.image.Close())
	}
	for _, l := range e.logs {
		if l != nil {
			errs = append(errs, l.f.Close())
		}
	}
	e.image.File = nil
	return errors.Join(errs...)
}
