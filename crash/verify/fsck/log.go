package fsck

import (
	"fmt"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// logEntry is one of the log and where it is.
type logEntry struct {
	index, term uint64
	kind        uint64
	digest      uint64 // of its data
	off         int64  // of its record in the segment
	file        uint32 // index of raftLog.files
	op          *op    // nil: it writes no keys
}

// raftLog is what the WAL holds, entries that were replaced left out.
type raftLog struct {
	files   []string
	entries []logEntry // of rising index, without gaps except after a snapshot
	report  *datadir.Report
}

func readLog(dir string) (*raftLog, error) {
	l := &raftLog{}
	var err error
	l.report, err = datadir.ReadLog(dir, func(e *datadir.LogEntry) {
		for n := len(l.entries); n > 0 && l.entries[n-1].index >= e.Index; n = len(l.entries) {
			l.entries = l.entries[:n-1]
		}
		if n := len(l.files); n == 0 || l.files[n-1] != e.File {
			l.files = append(l.files, e.File)
		}
		in := logEntry{index: e.Index, term: e.Term, kind: e.Kind, digest: datadir.Hash(e.Data), off: e.Offset, file: uint32(len(l.files) - 1)}
		if e.Kind == 0 && len(e.Data) > 0 {
			if o := parseRequest(e.Data); o != nil && o.mayWrite() {
				in.op = o
			}
		}
		l.entries = append(l.entries, in)
	})
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return l, nil
}

// until gives the entries up to an index without a gap before it.
func (l *raftLog) until(index uint64) []logEntry {
	n := len(l.entries)
	for n > 0 && l.entries[n-1].index > index {
		n--
	}
	from := n
	for from > 0 && (from == n || l.entries[from-1].index+1 == l.entries[from].index) {
		from--
	}
	if n > 0 && l.entries[n-1].index != index {
		return nil // a snapshot from the leader took its place
	}
	return l.entries[from:n]
}

// where names an entry's place.
func (l *raftLog) where(e *logEntry) string {
	return fmt.Sprintf("entry %d of the log (%s, byte %d)", e.index, l.files[e.file], e.off)
}
