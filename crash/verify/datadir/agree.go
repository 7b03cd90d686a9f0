package datadir

import (
	"fmt"
	"slices"
	"strings"
)

// Agree checks what must hold between db, log and snapshot files that each are
// whole: it is of no use when there are Problems. version is the etcd that wrote
// them, such as v3.6.1; "" if unknown.
func (r *Report) Agree(version string) []Problem {
	return append(r.indexes(), r.snapshots(version)...)
}

// indexes ties db and log. The persisted commit index may lag behind what was
// applied: etcd does not write a hard state of which only the commit index
// changed. Entries are in the log before they are applied.
func (r *Report) indexes() (wrong []Problem) {
	report := func(format string, args ...any) {
		wrong = append(wrong, Problem{Kind: "index", Message: fmt.Sprintf(format, args...)})
	}
	db, wal := &r.DB, &r.WAL
	if wal.Commit > wal.Last {
		report("the log commits entry %d, but ends at entry %d", wal.Commit, wal.Last)
	}
	if db.ConsistentIndex > wal.Last {
		report("the db has applied entry %d, but the log ends at entry %d", db.ConsistentIndex, wal.Last)
	}
	if db.ConsistentIndex == 0 && db.Keys > 0 {
		report("the db holds %d records and no consistent index", db.Keys)
	}
	return wrong
}

// Recorded are the snapshots that the log says were finished, oldest first.
func (w *WAL) Recorded() (recorded []WALSnap) {
	for _, s := range w.Snapshots {
		if s.Index > 0 && s.Index <= w.Commit {
			recorded = append(recorded, s)
		}
	}
	return recorded
}

// DamagedSnaps are the files that the log says were finished and that are not
// whole. A CRC over the whole file does not say where it is damaged.
func (r *Report) DamagedSnaps() (wrong []Problem) {
	for _, s := range r.Snaps {
		if s.Error != "" && s.in(r.WAL.Recorded()) {
			wrong = append(wrong, Problem{
				File: "member/snap/" + s.Name, Kind: KindSnapshot, Offset: new(int64(0)),
				Message: fmt.Sprintf("member/snap/%s is damaged, though the log says that it was written: %s", s.Name, s.Error),
			})
		}
	}
	return wrong
}

func (s *Snap) in(recorded []WALSnap) bool {
	return slices.Contains(recorded, WALSnap{Term: s.Term, Index: s.Index})
}

// snapshots checks the snapshot that the log would start from, as etcd does at
// start-up: the newest whose record is committed. The file is synced before the
// record is written, so a record without a whole file is damage; a torn file
// without a record is what a power cut leaves of an unfinished snapshot.
func (r *Report) snapshots(version string) (wrong []Problem) {
	report := func(format string, args ...any) {
		wrong = append(wrong, Problem{Kind: KindSnapshot, Message: fmt.Sprintf(format, args...)})
	}
	valid := r.WAL.Recorded()
	usable := slices.ContainsFunc(r.Snaps, func(s Snap) bool { return s.Error == "" && s.in(valid) })
	wrong = r.DamagedSnaps()
	if len(valid) == 0 {
		if r.WAL.FirstSeq > 0 {
			report("the log begins with segment %d and names no snapshot to begin from", r.WAL.FirstSeq)
		}
		return wrong
	}
	newest := valid[len(valid)-1]
	if newest.Index > r.DB.ConsistentIndex && !slices.Contains(r.SnapDBs, newest.Index) {
		report("the log begins from the snapshot at entry %d, but the db has only applied entry %d and %016x.snap.db is not there", newest.Index, r.DB.ConsistentIndex, newest.Index)
	}
	// From v3.7 on etcd makes the snapshot from the log's record and the db.
	if !usable && needsSnapFile(version) && r.WAL.FirstSeq > 0 {
		report("no snapshot file belongs to a record of the log, which begins with segment %d", r.WAL.FirstSeq)
	}
	return wrong
}

func needsSnapFile(version string) bool {
	return strings.HasPrefix(version, "v3.5.") || strings.HasPrefix(version, "v3.6.")
}
