package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/etcdlab/etcdlab/disk"
)

// The files of etcd's data directory that faults know by name.
const (
	FileWAL  = "wal"  // the newest segment
	FileDB   = "db"   // bbolt's file
	FileSnap = "snap" // the newest snapshot of raft's
)

// Files lists those names.
var Files = []string{FileWAL, FileDB, FileSnap}

// CheckFile fails on a name that is none of them.
func CheckFile(name string) error {
	if slices.Contains(Files, name) {
		return nil
	}
	return fmt.Errorf("unknown file %q: it is one of %v", name, Files)
}

// FileFaulter is a DiskFaulter whose faults can be of a file: it knows where on
// the disk each lies, and follows it there as it grows and moves.
type FileFaulter interface {
	// Extents is where one of Files lies now; none if there is no such file.
	Extents(ctx context.Context, file string) ([]disk.Extent, error)
}

// Moments at which a hold can begin.
const (
	AtFlush      = "flush"       // the nth flush of the disk, or of a file, that has a write to cover
	AtMeta       = "meta"        // the nth write of bbolt's meta pages
	AtWALRoll    = "wal-roll"    // a new segment appears in member/wal
	AtSnapRename = "snap-rename" // a rename to a name in member/snap
	AtExit       = "exit"        // etcd is seen to end
)

// Moments lists them.
var Moments = []string{AtFlush, AtMeta, AtWALRoll, AtSnapRename, AtExit}

// Moment is when a hold begins.
type Moment struct {
	At   string `json:"at"`
	File string `json:"file,omitempty"` // of flush: one of Files, or "" for any
	Nth  uint64 `json:"nth,omitempty"`  // 0 is the first
}

// Check says what is wrong with a moment.
func (m Moment) Check() error {
	if !slices.Contains(Moments, m.At) {
		return fmt.Errorf("unknown moment %q: it is one of %v", m.At, Moments)
	}
	if m.File == "" {
		return nil
	}
	if m.At != AtFlush {
		return fmt.Errorf("moment %s is of no file: only %s is", m.At, AtFlush)
	}
	return CheckFile(m.File)
}

// EventHolder is a PowerCutter whose hold can begin at a moment.
type EventHolder interface {
	// HoldAt waits for the moment and holds flushes back from it on. Held.Fired is
	// false if it did not come within max; nothing is held back then.
	HoldAt(ctx context.Context, at Moment, max time.Duration) (Held, error)
}

// Space is what a member's file system has, in bytes.
type Space struct {
	Size    int64 `json:"size"`
	Free    int64 `json:"free"`    // as root finds it
	Ballast int64 `json:"ballast"` // what Fill has taken
}

// Filler fills the member's own file system, so that etcd finds no space.
type Filler interface {
	// Fill takes all that is free but leave bytes.
	Fill(ctx context.Context, leave int64) (Space, error)
	// Unfill gives it back; nothing taken is success.
	Unfill(ctx context.Context) (Space, error)
	Space(ctx context.Context) (Space, error)
}

// Damages that Damage does.
const (
	DamageFlip     = "flip"     // one bit is another
	DamageTruncate = "truncate" // the end of what is in use is gone
)

// Damage is what is to be done to a file of a data directory while etcd is down.
type Damage struct {
	File string `json:"file"` // one of Files
	Kind string `json:"kind"`
	Seed uint64 `json:"seed"` // of the place
}

// Check says what is wrong with it.
func (d Damage) Check() error {
	if d.Kind != DamageFlip && d.Kind != DamageTruncate {
		return fmt.Errorf("unknown damage %q: it is %s or %s", d.Kind, DamageFlip, DamageTruncate)
	}
	return CheckFile(d.File)
}

// ErrNoFile says that there is no such file to damage, or nothing in it.
var ErrNoFile = errors.New("there is no such file yet, or nothing in it")

// Damaged is what was done to a file.
type Damaged struct {
	Path   string `json:"path"` // below the data directory
	Kind   string `json:"kind"`
	Offset int64  `json:"offset"` // of the byte, or the new length
	Bit    int    `json:"bit,omitempty"`
	Old    byte   `json:"old,omitempty"`
	New    byte   `json:"new,omitempty"`
	Lost   int64  `json:"lost,omitempty"` // bytes, up to the last that was in use
}

func (d Damaged) String() string {
	if d.Kind == DamageTruncate {
		return fmt.Sprintf("%s truncated at byte %d, %d bytes of it lost", d.Path, d.Offset, d.Lost)
	}
	return fmt.Sprintf("bit %d of byte %d of %s flipped, %#02x to %#02x", d.Bit, d.Offset, d.Path, d.Old, d.New)
}

// Repaired is what became of a damage when it was undone.
type Repaired struct {
	Damaged
	Restored bool   `json:"restored"` // as it was before
	Why      string `json:"why,omitempty"`
}

// Damager damages files of the data directory while etcd is down.
type Damager interface {
	Damage(ctx context.Context, d Damage) (Damaged, error)
	// Repair undoes every damage where the file is still as the damage left it,
	// and forgets the others, which it tells. etcd must be down.
	Repair(ctx context.Context) ([]Repaired, error)
}
