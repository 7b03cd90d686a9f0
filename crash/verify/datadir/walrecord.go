package datadir

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"
)

// record takes in one intact record and says whether reading can go on. A
// record whose CRC holds and whose content is impossible is damage of another
// kind: it was written so.
func (w *walReader) record(r *record, pos int) bool {
	wal := &w.rep.WAL
	switch r.kind {
	case recCRC:
		if w.chained && r.crc != w.crc {
			w.problemAt(pos, KindRecord, "the segment's CRC at byte %d does not continue the one before it", pos)
			return false
		}
		w.crc, w.chained = r.crc, true
	case recMetadata:
		if w.metadata != nil && !bytes.Equal(w.metadata, r.data) {
			w.problemAt(pos, KindRecord, "the metadata at byte %d differ from those at the WAL's start", pos)
			return false
		}
		w.metadata = bytes.Clone(r.data)
		w.ids()
	case recState:
		var h hardState
		if err := h.parse(r.data); err != nil {
			w.problemAt(pos, KindRecord, "the hard state at byte %d is damaged: %v", pos, err)
			return false
		}
		w.hardState(&h, pos)
	case recSnapshot:
		var s WALSnap
		if err := s.parse(r.data); err != nil {
			w.problemAt(pos, KindRecord, "the snapshot record at byte %d is damaged: %v", pos, err)
			return false
		}
		wal.Snapshots = append(wal.Snapshots, s)
		// A snapshot from the leader skips entries that were never in this log.
		if s.Index > wal.Last || !w.started && s.Index > 0 {
			wal.Last, wal.LastTerm, w.started = s.Index, s.Term, true
		}
	case recEntry:
		return w.raftEntry(r, pos)
	default:
		w.problemAt(pos, KindRecord, "the record at byte %d is of the unknown type %d", pos, r.kind)
		return false
	}
	return true
}

func (w *walReader) raftEntry(r *record, pos int) bool {
	wal := &w.rep.WAL
	var e entry
	if err := e.parse(r.data); err != nil || e.index == 0 {
		w.problemAt(pos, KindRecord, "the entry at byte %d is damaged", pos)
		return false
	}
	if (w.started || wal.FirstSeq == 0) && e.index > wal.Last+1 {
		w.problemAt(pos, KindRecord, "entry %d at byte %d follows entry %d: entries are missing", e.index, pos, wal.Last)
		return false
	}
	if wal.First == 0 || e.index < wal.First {
		wal.First = e.index
	}
	wal.Last, wal.LastTerm, w.started = e.index, e.term, true
	w.entry(&e, pos)
	return true
}

// ids reads etcdserverpb.Metadata.
func (w *walReader) ids() {
	wal := &w.rep.WAL
	if Fields(w.metadata, func(field protowire.Number, num uint64, _ []byte) error {
		switch field {
		case 1:
			wal.Member = num
		case 2:
			wal.Cluster = num
		}
		return nil
	}) != nil {
		wal.Member, wal.Cluster = 0, 0
	}
}

// hardState takes in what raft promised not to forget: a member whose term goes
// back, or that votes for two in one term, can elect two leaders.
func (w *walReader) hardState(h *hardState, pos int) {
	was := w.state
	switch {
	case h.term < was.term:
		w.problemAt(pos, KindTerm, "the hard state at byte %d is of term %d, after one of term %d: a member's term never goes back", pos, h.term, was.term)
	case h.term == was.term && was.vote != 0 && h.vote != was.vote:
		w.problemAt(pos, KindVote, "the hard state at byte %d votes for member %x in term %d, in which the member had voted for %x", pos, h.vote, h.term, was.vote)
	}
	w.state = *h
	w.rep.WAL.Term, w.rep.WAL.Vote, w.rep.WAL.Commit = h.term, h.vote, h.commit
}
