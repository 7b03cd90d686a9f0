package dm

import (
	"fmt"
	"slices"

	"github.com/etcdlab/etcdlab/disk"
)

// tailSectors is the end of the disk whose flushes fail where only flushes shall:
// one block of every file system.
const tailSectors = 8

// CheckFault says what is wrong with a fault for any disk of device mapper; what
// depends on its size or on the kernel is found when it is armed.
func CheckFault(f disk.Fault) error {
	const sectors = 1 << 50
	if f.Op == disk.OpWrite && (f.Offset > 0 || f.Length > 0) {
		return noRange()
	}
	return checkFault(f, sectors)
}

func noRange() error {
	return &UnsupportedError{"a fault of the writes of a range alone",
		"the target that fails them fails every flush of the disk, too: arm a read fault with the same range (a bad sector), a flush fault, or writes of the whole disk"}
}

// checkFault fails on what the targets cannot do: they fail operations from the
// moment that they are loaded, and do not count.
func checkFault(f disk.Fault, sectors uint64) error {
	size := int64(sectors) * Sector
	switch {
	case f.Op != disk.OpRead && f.Op != disk.OpWrite && f.Op != disk.OpFlush:
		return fmt.Errorf("arm a disk fault: operation %q does not exist: use one of read, write, flush", f.Op)
	case f.Offset < 0 || f.Length < 0 || f.Offset >= size:
		return fmt.Errorf("arm a disk fault: %d bytes at %d are not on a disk of %d bytes", f.Length, f.Offset, size)
	case f.Op == disk.OpFlush && (f.Offset != 0 || f.Length != 0):
		return fmt.Errorf("arm a disk fault: a flush has no offset: leave offset and length out")
	case f.For < 0:
		return fmt.Errorf("arm a disk fault: for %s lies in the past", f.For)
	case f.Action != "" && f.Action != disk.ActError:
		return &UnsupportedError{"a fault with action " + string(f.Action), "its targets only fail operations; use --disk fault"}
	case f.File != "":
		return &UnsupportedError{"a fault of a file", "its tables are of the disk, and are not exchanged as files move; use --disk fault"}
	case f.Share > 0:
		return &UnsupportedError{"a fault of a share of operations", "its targets fail all operations or none: leave share out"}
	case f.Nth > 1:
		return &UnsupportedError{fmt.Sprintf("a fault from the %dth %s on", f.Nth, f.Op), "its targets fail all operations or none: leave nth out"}
	case f.Count > 0:
		return &UnsupportedError{fmt.Sprintf("a fault of %d %ss", f.Count, f.Op), "its targets fail all operations until they are replaced: leave count out, or use for"}
	}
	return nil
}

// span is the range of a fault in sectors; one that is not aligned is widened.
func span(f disk.Fault, sectors uint64) (from, to uint64) {
	from, to = uint64(f.Offset)/Sector, sectors
	if f.Length > 0 {
		to = min(to, (uint64(f.Offset)+uint64(f.Length)+Sector-1)/Sector)
	}
	return from, to
}

// faultTable is the table of a disk with these faults: linear where none is, and
// where one is
//
//   - error, if reads and writes fail: as a bad sector does;
//   - flakey with error_reads, if only reads do (Linux 6.5 and later);
//   - flakey with error_writes, if writes of the whole disk do. That target fails
//     flushes, too, and every flush goes to every segment; so a range whose writes
//     alone fail cannot be had, but one whose reads and writes do can;
//   - flakey with error_writes on the last block, if only flushes fail.
func faultTable(dev Number, sectors uint64, faults []disk.Fault) (Table, error) {
	edges, flush := []uint64{0, sectors}, false
	for _, f := range faults {
		if err := checkFault(f, sectors); err != nil {
			return nil, err
		}
		if f.Op == disk.OpFlush {
			flush = true
			continue
		}
		from, to := span(f, sectors)
		edges = append(edges, from, to)
	}
	if flush {
		edges = append(edges, sectors-min(tailSectors, sectors))
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	var t Table
	for i, from := range edges[:len(edges)-1] {
		to := edges[i+1]
		fails := map[disk.Operation]bool{}
		for _, f := range faults {
			if a, b := span(f, sectors); f.Op != disk.OpFlush && a <= from && to <= b {
				fails[f.Op] = true
			}
		}
		bad := Flakey{Dev: dev, Offset: from, Down: Always}
		var target Target = Linear{dev, from}
		switch {
		case fails[disk.OpRead] && fails[disk.OpWrite]:
			target = Error{}
		case fails[disk.OpRead]:
			bad.ErrorReads = true
			target = bad
		case fails[disk.OpWrite]:
			if !flush && !wholeWrites(faults, sectors) {
				return nil, noRange()
			}
			bad.ErrorWrites = true
			target = bad
		}
		if flush && to == sectors {
			bad.ErrorWrites, bad.ErrorReads = true, fails[disk.OpRead]
			target = bad
		}
		t = append(t, Segment{from, to - from, target})
	}
	return t, nil
}

func wholeWrites(faults []disk.Fault, sectors uint64) bool {
	return slices.ContainsFunc(faults, func(f disk.Fault) bool {
		from, to := span(f, sectors)
		return f.Op == disk.OpWrite && from == 0 && to == sectors
	})
}

// needsErrorReads says whether a table uses what older kernels do not know.
func needsErrorReads(t Table) bool {
	return slices.ContainsFunc(t, func(s Segment) bool {
		f, ok := s.Target.(Flakey)
		return ok && f.ErrorReads
	})
}
