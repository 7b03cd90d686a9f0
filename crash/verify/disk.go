package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

const checkDisk = "disk"

// judgeDisk says whether each member's files are whole and agree: bbolt's
// pages, the WAL's chain of CRCs, snapshots, and the indexes that tie them.
func (c *evidence) judgeDisk() Check {
	var f findings
	var d doubts
	var failed []string
	checked := 0
	for _, m := range c.cluster.members {
		report := func(format string, args ...any) {
			f.add(rankOther, 0, func() Evidence {
				return Evidence{Message: m.name + ": " + fmt.Sprintf(format, args...), Member: m.name}
			})
		}
		switch {
		case m.missing != "":
			d = append(d, m.name+": "+m.missing)
			continue
		case m.err != nil:
			failed = append(failed, m.name+": "+m.err.Error())
			continue
		}
		checked++
		rep := &m.store.Report
		for _, p := range rep.Problems {
			report("%s: %s", p.File, p.Message)
		}
		if m.damaged != "" && len(rep.Problems) == 0 {
			report("the data directory is damaged: %s", m.damaged)
		}
		if m.damaged == "" && len(rep.Problems) == 0 {
			indexes(m, &rep.DB, &rep.WAL, report)
			d = append(d, snapshots(c.run.Etcd, m, rep, report)...)
		}
		if rep.WAL.Beyond {
			// A member that was restarted has cut its torn tail off and cleared
			// what followed. One that was not may have written pages in any order.
			if m.serving() {
				report("%s: the record at byte %d is damaged: the log goes on at byte %d", rep.WAL.TornFile, rep.WAL.TornAt, rep.WAL.BeyondAt)
			} else {
				d = append(d, fmt.Sprintf("%s: %s goes on at byte %d after a torn record, which is damage if the member was restarted since", m.name, rep.WAL.TornFile, rep.WAL.BeyondAt))
			}
		}
	}
	check := settle(checkDisk, &f, d, fmt.Sprintf("%d findings in the data of %d members", f.total, checked),
		fmt.Sprintf("db pages, log, snapshots and indexes of %d members are whole and agree", checked))
	if f.total == 0 && len(failed) > 0 {
		check.Verdict, check.Detail = Error, strings.Join(failed, "; ")
	}
	return check
}

// indexes checks what must hold between db and log. The persisted commit index
// may lag behind what was applied: etcd does not write a hard state of which
// only the commit index changed. Entries are in the log before they are applied.
func indexes(m *member, db *datadir.DB, wal *datadir.WAL, report func(string, ...any)) {
	if wal.Commit > wal.Last {
		report("the log commits entry %d, but ends at entry %d", wal.Commit, wal.Last)
	}
	if db.ConsistentIndex > wal.Last {
		report("the db has applied entry %d, but the log ends at entry %d", db.ConsistentIndex, wal.Last)
	}
	if db.ConsistentIndex == 0 && db.Keys > 0 {
		report("the db holds %d records and no consistent index", db.Keys)
	}
}

// snapshots checks the snapshot that the log would start from, as etcd does at
// start-up: the newest whose record is committed. The file is synced before the
// record is written, so a record without a whole file is damage; a torn file
// without a record is what a power cut leaves of an unfinished snapshot.
func snapshots(version string, m *member, rep *datadir.Report, report func(string, ...any)) (d doubts) {
	var valid []datadir.WALSnap
	for _, s := range rep.WAL.Snapshots {
		if s.Index > 0 && s.Index <= rep.WAL.Commit {
			valid = append(valid, s)
		}
	}
	usable := false
	for _, s := range rep.Snaps {
		recorded := slices.Contains(valid, datadir.WALSnap{Term: s.Term, Index: s.Index})
		switch {
		case s.Error == "":
			usable = usable || recorded
		case recorded:
			report("member/snap/%s is damaged, though the log says that it was written: %s", s.Name, s.Error)
		}
	}
	if len(valid) == 0 {
		if rep.WAL.FirstSeq > 0 {
			report("the log begins with segment %d and names no snapshot to begin from", rep.WAL.FirstSeq)
		}
		return nil
	}
	newest := valid[len(valid)-1]
	if newest.Index > rep.DB.ConsistentIndex && !slices.Contains(rep.SnapDBs, newest.Index) {
		report("the log begins from the snapshot at entry %d, but the db has only applied entry %d and %016x.snap.db is not there", newest.Index, rep.DB.ConsistentIndex, newest.Index)
	}
	// From v3.7 on etcd makes the snapshot from the log's record and the db.
	if !usable && needsSnapFile(version) && rep.WAL.FirstSeq > 0 {
		report("no snapshot file belongs to a record of the log, which begins with segment %d", rep.WAL.FirstSeq)
	}
	return nil
}

func needsSnapFile(version string) bool {
	return strings.HasPrefix(version, "v3.5.") || strings.HasPrefix(version, "v3.6.")
}
