// Package disk owns the fault-injecting disk: an engine with a volatile write
// cache over a durable image, the write log in the on-disk format of Linux's
// dm-log-writes, and the crash states a cut can leave. It imports nothing of
// ours. Fronts that show the disk to a kernel live in packages below it.
//
// A write is durable only once a flush that was submitted after the write
// completed has itself completed, or if it was FUA (Linux,
// Documentation/admin-guide/device-mapper/log-writes.rst).
package disk

import "time"

// SectorSize is the unit of addresses in the engine and in the log, in bytes.
const SectorSize = 512

// Policy says which of the writes that no flush covers survive a cut.
type Policy string

const (
	Drop   Policy = "drop"   // none
	Keep   Policy = "keep"   // all
	Prefix Policy = "prefix" // the first n, n drawn from the seed
	Random Policy = "random" // each drawn from the seed: reordering
	Torn   Policy = "torn"   // as Random, and kept ones may be cut at sectors
)

// Policies lists every policy, in the order they are documented.
var Policies = []Policy{Drop, Keep, Prefix, Random, Torn}

// CutRecord is what the engine knows at a cut.
type CutRecord struct {
	Position  uint64 `json:"position"`  // entries in the write log
	Writes    uint64 `json:"writes"`    // since power-on
	Flushes   uint64 `json:"flushes"`   // completed since power-on
	Held      int    `json:"held"`      // flushes in flight
	Uncovered int    `json:"uncovered"` // writes no completed flush covers
	// Lied counts operations since power-on that were acknowledged and not done
	// so, by faults: a disk that did that has no honest power loss.
	Lied uint64 `json:"lied,omitempty"`
}

// Choice is the crash state that was chosen at a cut.
type Choice struct {
	Policy    Policy `json:"policy"`
	Seed      uint64 `json:"seed"`
	Uncovered int    `json:"uncovered"`
	Dropped   int    `json:"dropped"` // lost whole
	Torn      int    `json:"torn"`    // partly kept
	Kept      int    `json:"kept"`
	// Rotted is the byte in which profile bitrot flipped a bit, 0 for none.
	Rotted int64 `json:"rotted,omitempty"`
}

// Stats are counters since the engine was opened.
type Stats struct {
	Reads        uint64        `json:"reads"`
	Writes       uint64        `json:"writes"`
	Flushes      uint64        `json:"flushes"`
	Discards     uint64        `json:"discards"`
	BytesRead    uint64        `json:"bytesRead"`
	BytesWritten uint64        `json:"bytesWritten"`
	Uncovered    int           `json:"uncovered"`
	Powered      bool          `json:"powered"`
	Profile      string        `json:"profile"`
	LogBytes     int64         `json:"logBytes"`
	Errors       uint64        `json:"errors"`          // operations failed by a fault
	Lied         uint64        `json:"lied,omitempty"`  // acknowledged by a fault, and not done so
	Stuck        int           `json:"stuck,omitempty"` // that a fault keeps waiting now
	CPU          time.Duration `json:"cpu"`             // user and system time of the serving process
}
